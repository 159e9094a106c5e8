import HTTPTypes
import NIOCore

/// Where one request came from, and where its response goes: a connection of HTTP/1, or a stream of HTTP/2.
protocol ClientStream: AnyObject {
    var address: ClientAddress { get }
    /// Whether more of a response can be written without piling up.
    var isWritable: Bool { get }

    /// Passes an interim response on.
    func writeInterim(_ head: ResponseHead)
    /// Passes the head of the final response on.
    func writeHead(_ head: ResponseHead)
    /// Writes the head of a response that was made here.
    ///
    /// - Parameters:
    ///   - head: Status and fields.
    ///   - length: That of the body; `nil` if its end will show it.
    func writeHead(_ head: HTTPResponse, length: Int?)
    func writeInterim(_ head: HTTPResponse)
    func writeBody(_ bytes: ByteBuffer)
    func writeEnd(_ trailers: Trailers)
    /// Responds to the request with a problem, or cuts the response if one has begun.
    func refuse(_ failure: ProxyFailure)
    /// Cuts the response, so that the client does not take a part for the whole.
    func cut()
    /// Stops reading the body, or goes on.
    func holdReading(_ isHeld: Bool)
    /// The protocol has changed: what comes from now on is passed as it is.
    func startTunnel()
}

/// What becomes of one request, from its head to the end of its response.
protocol RequestProcess: AnyObject {
    func start()
    func received(_ bytes: ByteBuffer)
    func requestEnded(_ trailers: Trailers)
    func clientWritabilityChanged()
    /// The client sends no more, but may still read.
    func clientClosedItsSide()
    /// The client has left.
    func clientLeft()
    /// Whether the client is being waited for: for the rest of its body.
    var isWaitingForClient: Bool { get }
}

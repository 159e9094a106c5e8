import NIOCore

/// Who sends a request upstream, and takes what comes back.
protocol UpstreamUser: AnyObject {
    /// Here is the connection that was asked for.
    func connectionReady(_ connection: UpstreamConnection)
    /// There is no connection.
    func connectionUnavailable(_ failure: UpstreamFailure)

    func received(_ head: ResponseHead)
    func receivedBody(_ bytes: ByteBuffer)
    /// The response is complete, and the connection free.
    func receivedEnd(_ trailers: Trailers)
    /// The response is broken off; the connection is no more.
    func upstreamFailed(_ failure: UpstreamFailure)
    /// More of the request can be written, or no more for now.
    func upstreamWritabilityChanged()
}

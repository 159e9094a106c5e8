import HTTPTypes
import NIOCore

/// Responds to OPTIONS and TRACE that must not be forwarded (RFC 9110, section 7.6.2).
final class FinalRecipient: RequestProcess {
    private let head: RequestHead
    private let client: any ClientStream

    init(_ head: RequestHead, from client: any ClientStream) {
        self.head = head
        self.client = client
    }

    let isWaitingForClient = true

    func start() {}

    func received(_ bytes: ByteBuffer) {}

    func requestEnded(_ trailers: Trailers) {
        // TRACE would echo what the client sent, credentials included.
        guard self.head.method == "OPTIONS" else { return self.client.refuse(.notSupported) }
        self.client.writeHead(HTTPResponse(status: .ok), length: 0)
        self.client.writeEnd([])
    }

    func clientWritabilityChanged() {}

    func clientClosedItsSide() {}

    func clientLeft() {}
}

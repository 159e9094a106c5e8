import HTTPTypes
import NIOCore

/// Answers OPTIONS and TRACE that are to go no further (RFC 9110, section 7.6.2).
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
        // What a client sends is nobody else's to see.
        guard self.head.method == "OPTIONS" else { return self.client.refuse(.notSupported) }
        self.client.writeHead(HTTPResponse(status: .ok), length: 0)
        self.client.writeEnd([])
    }

    func clientWritabilityChanged() {}

    func clientClosedItsSide() {}

    func clientLeft() {}
}

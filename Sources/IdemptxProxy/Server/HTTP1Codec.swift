import HTTPTypes
import Idemptx
import NIOCore
import NIOHTTP1
import NIOHTTPTypes

/// Translates between HTTP/1 on the wire and messages of any version of HTTP, and changes nothing on the way.
///
/// Requests that two readers could understand in two ways are refused. Answers are framed as their request demands (RFC
/// 9112, section 6).
final class HTTP1Codec: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    /// A request whose answer has not ended.
    private struct Exchange {
        let method: HTTPRequest.Method
        let isHTTP10: Bool
        /// Whether the connection ends with the answer.
        var closes: Bool
        var isRead = false
        var hasBody = true
    }

    private let isSecure: Bool
    private var exchanges = CircularBuffer<Exchange>(initialCapacity: 1)
    /// What follows is not read: the connection ends with the last of `exchanges`.
    private var isReadingEnded = false
    /// Why a request is refused.
    private var problem: ProxyProblem.Kind?
    private let refusal: (ProxyProblem.Kind) -> ResponseParts

    init(isSecure: Bool, refusal: @escaping (ProxyProblem.Kind) -> ResponseParts) {
        self.isSecure = isSecure
        self.refusal = refusal
    }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !self.isReadingEnded else { return }
        switch self.unwrapInboundIn(data) {
        case .head(let head): self.readHead(head, context: context)
        case .body(let bytes): context.fireChannelRead(self.wrapInboundOut(.body(bytes)))
        case .end(let trailers):
            self.endRequest()
            context.fireChannelRead(self.wrapInboundOut(.end(trailers.map { HTTPFields($0) })))
        }
    }

    private func readHead(_ head: HTTPRequestHead, context: ChannelHandlerContext) {
        do {
            let request = try HTTPRequest(head, isSecure: self.isSecure)
            self.exchanges.append(
                Exchange(method: request.method, isHTTP10: head.isHTTP10, closes: head.isHTTP10 || !head.isPersistent))
            context.fireChannelRead(self.wrapInboundOut(.head(request)))
        } catch {
            // The server answers this one with 400, after the answers to the requests before.
            self.errorCaught(context: context, error: HTTPParserError.unknown)
        }
    }

    private func endRequest() {
        guard !self.exchanges.isEmpty else { return }
        let last = self.exchanges.index(before: self.exchanges.endIndex)
        self.exchanges[last].isRead = true
        self.isReadingEnded = self.exchanges[last].closes
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let error = error as? HTTPParserError, !self.isReadingEnded {
            self.isReadingEnded = true
            self.problem =
                switch error {
                case .headerOverflow: .headerTooLarge
                case .invalidMethod: .notSupported
                default: .badRequest
                }
            if self.exchanges.last?.isRead ?? true {
                self.exchanges.append(Exchange(method: .get, isHTTP10: false, closes: true))
            }
        }
        context.fireErrorCaught(error)
    }

    // MARK: Answers

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch self.unwrapOutboundIn(data) {
        case .head(let head): self.writeHead(head, context: context, promise: promise)
        case .body(let bytes):
            guard self.exchanges.first?.hasBody ?? true else { return promise.succeed() }
            context.write(self.wrapOutboundOut(.body(.byteBuffer(bytes))), promise: promise)
        case .end(let trailers): self.writeEnd(trailers, context: context, promise: promise)
        }
    }

    private func writeHead(_ head: HTTPResponse, context: ChannelHandlerContext, promise: EventLoopPromise<Void>?) {
        var exchange = self.exchanges.first ?? Exchange(method: .get, isHTTP10: false, closes: true)
        if head.status.kind == .informational {
            // HTTP/1.0 has none (RFC 9110, section 15.2).
            guard !exchange.isHTTP10 else { return promise.succeed() }
            context.write(self.wrapOutboundOut(.head(HTTPResponseHead(head))), promise: promise)
            return
        }
        // The client may go on to send what nobody needs any more.
        exchange.closes = exchange.closes || !exchange.isRead
        // Only the server's own answer to what cannot be read has this field.
        let refusal = head.headerFields.contains(.connection) ? self.problem.map(self.refusal) : nil
        var head = HTTPResponseHead(refusal?.head ?? head)
        if let refusal { head.headers.replaceOrAdd(name: "Content-Length", value: "\(refusal.bytes?.count ?? 0)") }
        exchange.hasBody = head.frame(for: exchange.method, isHTTP10: exchange.isHTTP10, closes: exchange.closes)
        if !self.exchanges.isEmpty { self.exchanges[self.exchanges.startIndex] = exchange }
        context.write(self.wrapOutboundOut(.head(head)), promise: promise)
        guard exchange.hasBody, let refusal else { return }
        context.write(self.wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: refusal.bytes ?? [])))), promise: nil)
    }

    private func writeEnd(_ trailers: HTTPFields?, context: ChannelHandlerContext, promise: EventLoopPromise<Void>?) {
        let closes = self.exchanges.popFirst()?.closes ?? true
        let end = self.wrapOutboundOut(.end(trailers.map { HTTPHeaders($0) }))
        guard closes else { return context.write(end, promise: promise) }
        self.isReadingEnded = true
        let promise = promise ?? context.eventLoop.makePromise()
        // Not the whole connection: what is still on its way from the client would make the system throw the answer away.
        promise.futureResult.assumeIsolated().whenSuccess { context.close(mode: .output, promise: nil) }
        context.write(end, promise: promise)
    }
}

extension EventLoopPromise<Void>? {
    fileprivate func succeed() {
        self?.succeed()
    }
}

extension HTTPRequestHead {
    /// Whether the connection is to go on after the answer.
    ///
    /// The parser reads no further after a request to change the protocol, which never happens here.
    fileprivate var isPersistent: Bool {
        self.isKeepAlive && !self.headers[canonicalForm: "connection"].contains { $0.lowercased() == "upgrade" }
    }
}

import HTTPTypes
import Hummingbird
import HummingbirdCore
import Idemptx
import IdemptxHummingbird
import Logging
import NIOCore
import NIOHTTP1

/// Answers the requests of clients.
struct ProxyResponder: Sendable {
    let middleware: IdempotencyMiddleware<ProxyContext>
    let forwarder: Forwarder
    /// How many header fields a request may have.
    let maxHeaderCount: Int
    let rules: @Sendable () -> ProxyRules
    let telemetry: ProxyTelemetry
    let logger: Logger
    let logsRequests: Bool

    /// Answers a request; interim answers first, if there are any.
    ///
    /// - Throws: An error if there is no answer, or no end of it. The connection is to be closed then.
    @concurrent
    func respond(
        to request: Request,
        by writer: consuming ResponseWriter,
        on channel: any Channel,
        isHTTP2: Bool
    ) async throws {
        let signals = try await ClientSignalsHandler.signals(of: channel)
        signals.beginRequest()
        defer { signals.endRequest() }
        let (interim, continuation) = AsyncStream.makeStream(
            of: HTTPResponse.self, bufferingPolicy: .bufferingOldest(16))
        let exchange = ClientExchange(
            connection: ClientConnection(address: channel.remoteAddress, isHTTP2: isHTTP2), signals: signals,
            expectsContinue: request.head.expectsContinue, interim: continuation)
        // Not `async let`: a debug build under load once crashed in the end of such a child.
        let answer = Task { try await self.answer(to: request, exchange) }
        for await head in interim { try? await writer.writeInformationalHead(head) }
        do {
            let response = try await withTaskCancellationHandler {
                try await answer.value
            } onCancel: {
                answer.cancel()
            }
            try await self.write(response, by: writer)
        } catch let error as HTTPParserError {
            // Answered by the server, which has to read the connection for that.
            await exchange.stopUpload()
            throw error
        } catch {
            // Cut at once, so that nobody takes what came for the whole.
            channel.close(promise: nil)
            await exchange.stopUpload()
            throw error
        }
        await exchange.stopUpload()
    }

    @concurrent
    private func write(_ response: Response, by writer: consuming ResponseWriter) async throws {
        do {
            try await writer.write(response: response.head, body: response.body)
        } catch let error as HTTPParserError {
            // There is no second answer to give.
            throw BrokenOff(cause: error)
        }
    }

    /// The answer broke off.
    private struct BrokenOff: Error {
        let cause: HTTPParserError
    }

    @concurrent
    private func answer(to request: Request, _ exchange: ClientExchange) async throws -> Response {
        defer { exchange.endInterim() }
        var logger = self.logger
        logger[metadataKey: "hb.request.id"] = "\(RequestID())"
        return try await withLogger(logger) { logger in
            let start = ContinuousClock.now
            var response = try await self.response(to: request, exchange, logger: logger)
            response.complete()
            self.telemetry.answered(response.status)
            if self.logsRequests { self.log(response, to: request, after: start.duration(to: .now), logger) }
            return response
        }
    }

    private func response(to request: Request, _ exchange: ClientExchange, logger: Logger) async throws -> Response {
        let request = request.prepared(for: exchange)
        let context = ProxyContext(
            source: ProxyContext.Source(
                logger: logger, exchange: exchange, policy: self.rules().policy(for: request.head.path ?? "")))
        do {
            try self.check(request.head, isHTTP2: exchange.connection.isHTTP2)
            return try await self.middleware.handle(request, context: context) { request, context in
                try await self.forwarder.forward(request, context: context)
            }
        } catch let error as any HTTPResponseError {
            return try error.response(from: request, context: context)
        }
    }

    /// Over HTTP/2, nothing else has looked at the head: what HTTP/1.1 cannot say must not be said in it.
    private func check(_ head: HTTPRequest, isHTTP2: Bool) throws(ProxyProblem) {
        guard head.method != .connect else { throw ProxyProblem(.notSupported) }
        guard head.headerFields.count <= self.maxHeaderCount else { throw ProxyProblem(.headerTooLarge) }
        // With a space in it, it would be two things.
        let isVisible = head.path?.utf8.allSatisfy { (0x21...0x7E).contains($0) } ?? false
        let isAsterisk = head.path == "*" && head.method == .options
        guard isVisible, head.path?.first == "/" || isAsterisk else { throw ProxyProblem(.badRequest) }
        let hosts = head.headerFields[values: .hostField].count + (isHTTP2 && head.authority != nil ? 1 : 0)
        guard hosts == 1 || (hosts == 0 && !isHTTP2), head.hasProperHost else { throw ProxyProblem(.badRequest) }
        let length = head.headerFields[.contentLength].flatMap { Int($0) } ?? 0
        guard length <= self.forwarder.maxBodySize else { throw ProxyProblem(.requestTooLarge) }
    }

    private func log(_ response: Response, to request: Request, after duration: Duration, _ logger: Logger) {
        logger.info(
            "Answered",
            metadata: [
                "http.request.method": "\(request.method.rawValue)",
                "url.path": "\((request.head.path ?? "").prefix { $0 != "?" })",
                "http.response.status_code": "\(response.status.code)",
                "idempotency.status": "\(response.headers[.idempotencyStatus] ?? "-")",
                "duration": "\(duration)",
            ])
    }
}

extension Request {
    /// The request as the rest of the proxy sees it.
    fileprivate func prepared(for exchange: ClientExchange) -> Request {
        var head = self.head
        if exchange.connection.isHTTP2 {
            // It is spoken over TLS only, and what a client says of that is not what there is.
            head.scheme = "https"
            // HTTP/2 has no transfer codings, and may take a cookie header apart (RFC 9113, sections 8.2.2 and 8.2.3).
            // A body without a length has an end of its own all the same.
            let isDelimited = head.headerFields[.contentLength] == nil
            head.headerFields[.transferEncoding] = isDelimited ? "chunked" : nil
            // Nobody is to choose between two hosts (section 8.3.1).
            if head.authority != nil { head.headerFields[.hostField] = nil }
            head.headerFields.joinCookies()
        }
        guard Forwarder.mayHaveBody(head, isHTTP2: exchange.connection.isHTTP2) else {
            return Request(head: head, body: self.body)
        }
        return Request(head: head, body: RequestBody(asyncSequence: ClientBody(body: self.body, exchange: exchange)))
    }
}

extension HTTPFields {
    /// Puts the pieces of a cookie header together again, where the first one stood.
    fileprivate mutating func joinCookies() {
        let cookies = self[values: .cookie]
        guard cookies.count > 1 else { return }
        var fields = HTTPFields()
        var isJoined = false
        for field in self {
            guard field.name == .cookie else {
                fields.append(field)
                continue
            }
            // The subscript would take them apart once more.
            if !isJoined { fields.append(HTTPField(name: field.name, value: cookies.joined(separator: "; "))) }
            isJoined = true
        }
        self = fields
    }
}

extension Response {
    /// Adds what every answer needs and leaves out what none may have.
    fileprivate mutating func complete() {
        // RFC 9110, sections 6.6.1 and 8.6.
        self.headers.setDate()
        if self.status == .noContent { self.headers[.contentLength] = nil }
    }
}

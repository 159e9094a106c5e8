import AsyncHTTPClient
import HTTPTypes
import Hummingbird
import Idemptx
import Logging
import NIOCore
import NIOHTTP1

/// Passes a request on to the upstream, and makes a response of the answer.
struct Forwarder: Sendable {
    let client: UpstreamClient
    let rewriter: RequestHeadRewriter
    /// The largest body, in bytes.
    let maxBodySize: Int
    let telemetry: ProxyTelemetry

    /// Passes a request on.
    ///
    /// - Returns: The answer. Its body comes as the upstream sends it.
    /// - Throws: ``ProxyProblem`` if there is no answer, an error of the client's making if its body cannot be read, or
    ///   `CancellationError`.
    func forward(_ request: Request, context: ProxyContext) async throws -> Response {
        let body = try await self.body(of: request, context: context)
        // A body of a TRACE request would be taken for another request (RFC 9110, section 9.3.8).
        if request.method == .trace, case .upload = body { throw ProxyProblem(.badRequest) }
        let head = self.rewriter.head(
            for: request.head, from: context.exchange.connection, body: body, attempt: context.idempotency?.attempt)
        let exchange = UpstreamExchange(head: head) { context.exchange.send(interim: $0) }
        // What is guarded runs to its end, and is stored; nobody needs the rest of anything else.
        if context.idempotency == nil { context.exchange.signals.onDeparture { exchange.abandon() } }
        let answer = try await self.send(exchange, body: body, context: context)
        return self.response(to: request.method, answer, exchange: exchange, context: context)
    }

    // MARK: The request

    private func body(of request: Request, context: ProxyContext) async throws -> ForwardedBody {
        if context.idempotency != nil {
            // It has been read, within limits, for its fingerprint.
            let bytes = try await request.body.collect(upTo: .max)
            return bytes.readableBytes == 0 ? .none : .bytes(bytes)
        }
        let length = request.headers[.contentLength].flatMap { Int($0) }
        guard length != 0, Self.mayHaveBody(request.head, isHTTP2: context.exchange.connection.isHTTP2) else {
            return .none
        }
        return try await self.upload(request.body, length: length, context: context)
    }

    /// Whether a body may follow a head, as far as the head tells.
    static func mayHaveBody(_ head: HTTPRequest, isHTTP2: Bool) -> Bool {
        isHTTP2 || head.headerFields.contains(.contentLength) || head.headerFields.contains(.transferEncoding)
    }

    /// Begins to read a body.
    ///
    /// The upstream hears of the request only once some of the body is here, unless the client waits for the upstream: what
    /// is malformed from the start never reaches it, and an empty body over HTTP/2 is known as one.
    private func upload(_ body: RequestBody, length: Int?, context: ProxyContext) async throws -> ForwardedBody {
        var iterator = body.makeAsyncIterator()
        guard !context.exchange.owesContinue else {
            let upload = RequestUpload(first: nil, rest: iterator, limit: self.maxBodySize)
            context.exchange.begin(upload)
            return .upload(upload, length: length)
        }
        guard let first = try await iterator.next() else { return .none }
        guard first.readableBytes <= self.maxBodySize else { throw ProxyProblem(.requestTooLarge) }
        let upload = RequestUpload(first: first, rest: iterator, limit: self.maxBodySize - first.readableBytes)
        context.exchange.begin(upload)
        return .upload(upload, length: length)
    }

    private func send(
        _ exchange: UpstreamExchange,
        body: ForwardedBody,
        context: ProxyContext
    ) async throws -> HTTPClientResponse {
        do {
            let answer = try await self.telemetry.upstreamAnswers {
                try await self.client.send(exchange, body: body)
            }
            // Until its end has been seen, the connection is not free for the next request.
            if !self.hasContent(answer.status, to: exchange.head.method) { for try await _ in answer.body {} }
            return answer
        } catch {
            if case .upload(let upload, _) = body, let failure = upload.failure { throw failure }
            if error is CancellationError || exchange.isAbandoned { throw CancellationError() }
            // Not sent, nothing ran: the next try may run. Sent, and it is not known: the answer is kept like any other.
            if !exchange.isSent { context.idempotency?.release() }
            throw self.problem(
                exchange.isSent ? ProxyProblem(answering: error) : ProxyProblem(.upstreamUnreachable), error, context)
        }
    }

    private func problem(_ problem: ProxyProblem, _ error: any Error, _ context: ProxyContext) -> ProxyProblem {
        self.telemetry.upstreamFailed(problem.kind)
        context.logger.warning(
            "The upstream did not answer",
            metadata: ["proxy.problem": "\(problem.kind.rawValue)", "proxy.error": "\(error)"])
        return problem
    }

    // MARK: The answer

    private func response(
        to method: HTTPRequest.Method,
        _ answer: HTTPClientResponse,
        exchange: UpstreamExchange,
        context: ProxyContext
    ) -> Response {
        let received = HTTPFields(answer.headers)
        var fields = HTTPFields(HopByHop.removed(from: received))
        let isChunked = received.contains(.transferEncoding)
        if isChunked { fields[.contentLength] = nil }
        if let disposition = fields[.idempotencyDisposition] {
            fields[.idempotencyDisposition] = nil
            Disposition(rawValue: disposition.lowercased()).map { context.idempotency?.choose($0) }
        }
        let length = isChunked ? nil : received[.contentLength].flatMap { Int($0) }
        let status = HTTPResponse.Status(answer.status)
        return Response(
            status: status, headers: fields,
            body: self.hasContent(answer.status, to: HTTPMethod(rawValue: method.rawValue))
                ? self.body(of: answer, length: length, exchange: exchange, context: context)
                : Self.noBody(status))
    }

    /// RFC 9112, section 6.3.
    private func hasContent(_ status: HTTPResponseStatus, to method: HTTPMethod) -> Bool {
        method != .HEAD && status != .noContent && status != .notModified
    }

    /// No body; where there could have been one, without a length of its own, since `Content-Length` speaks of another.
    private static func noBody(_ status: HTTPResponse.Status) -> ResponseBody {
        status == .noContent ? ResponseBody() : ResponseBody { writer in try await writer.finish(nil) }
    }

    private func body(
        of answer: HTTPClientResponse,
        length: Int?,
        exchange: UpstreamExchange,
        context: ProxyContext
    ) -> ResponseBody {
        ResponseBody(contentLength: length) { writer in
            var chunks = answer.body.makeAsyncIterator()
            while let chunk = try await self.next(&chunks, of: exchange, context) {
                try await writer.write(chunk)
            }
            // A cancelled task sees the end of the answer where there is none.
            try Task.checkCancellation()
            try await writer.finish(exchange.trailers.map { HTTPFields(HopByHop.removed(from: $0)) })
        }
    }

    @concurrent
    private func next(
        _ chunks: inout HTTPClientResponse.Body.AsyncIterator,
        of exchange: UpstreamExchange,
        _ context: ProxyContext
    ) async throws -> ByteBuffer? {
        do {
            return try await chunks.next()
        } catch {
            if exchange.isAbandoned { throw CancellationError() }
            throw self.problem(ProxyProblem(answering: error), error, context)
        }
    }
}

import HTTPProxy
import HTTPTypes
import Idemptx
import Logging
import NIOCore
import Synchronization

/// Makes requests idempotent on their way through a ``ReverseProxy``.
final class ProxyHandler: RequestHandler {
    /// How long the response of a guarded request is waited for, unless its policy says so.
    private static let usualRunTime = Duration.seconds(10 * 60)

    private let idempotency: Idempotency
    private let crossOrigin: CrossOriginRule?
    private let terms: ForwardingTerms
    private let scopeHeaders: [HTTPField.Name]?
    private let telemetry = ProxyTelemetry()
    private let logger: Logger
    private let logsRequests: Bool
    private let table: Mutex<RuleTable>

    init(
        _ idempotency: Idempotency, configuration: ProxyConfiguration, logger: Logger
    ) throws(InvalidProxyConfiguration) {
        self.idempotency = idempotency
        self.crossOrigin = try CrossOriginRule(configuration)
        self.terms = ForwardingTerms(configuration)
        self.scopeHeaders = configuration.scopeHeaders
        self.logger = logger
        self.logsRequests = configuration.logsRequests
        self.table = Mutex(RuleTable(configuration.rules))
    }

    var rules: ProxyRules { self.table.withLock { $0 }.rules }

    func replaceRules(with rules: ProxyRules) {
        self.table.withLock { $0 = RuleTable(rules) }
    }

    private func policy(for head: RequestHead) -> SharedPolicy? {
        self.table.withLock { $0 }.policy(for: head.target, method: head.method)
    }

    // MARK: Requests

    func route(_ head: RequestHead) -> RequestRoute {
        if self.isPreflight(head) { return .handle }
        guard let policy = self.policy(for: head) else { return .handle }
        return policy.mayGuard(head.method) { head.hasField($0.rawName) } ? .handle : .forward
    }

    func responseChanges(to method: String, field: (_ name: String) -> String?) -> FieldChanges? {
        self.crossOrigin?.changes(to: method, field: field)
    }

    private func isPreflight(_ head: RequestHead) -> Bool {
        self.crossOrigin?.isPreflight(head.method) { head.values(of: $0).first } ?? false
    }

    func handle(_ request: HandledRequest) async throws -> HandledResult {
        // What it is permitted, every response says.
        if self.isPreflight(request.head) {
            return .response(HandledResponse(head: HTTPResponse(status: .noContent), body: .bytes(ByteBuffer())))
        }
        // A field that cannot be represented could be what tells two callers apart.
        guard let head = request.httpRequest else { throw ProxyFailure.badRequest }
        guard let policy = self.policy(for: request.head) else {
            return .response(HandledResponse(self.pathIsAmbiguous))
        }
        let presence = ClientPresence(of: request)
        presence.observe()
        do {
            let response = try await withLogger(self.logger) { _ in
                try await self.respond(to: ProxiedRequest(request, head: head), presence, under: policy)
            }
            return response.result
        } catch is CancellationError where presence.hasClosedItsSide {
            // It waited for another attempt, and may still read.
            let problem = IdempotencyProblem(.requestInProgress, retryAfter: 1).under(policy)
            return .response(HandledResponse(problem.response))
        }
    }

    private func respond(
        to request: ProxiedRequest, _ presence: ClientPresence, under policy: SharedPolicy
    ) async throws -> ProxiedResponse {
        let hooks = ServerHooks(executor: request.handled.executor) { presence.waitBegins() }
        return try await self.idempotency.respond(
            to: request, through: ProxyAdapter(under: policy, logger: self.logger),
            scope: { try self.scope(of: $0.head.headerFields) }, under: policy, hooks: hooks,
            operation: { request, context in
                guard let context else { return .forwarded(read: request.body) }
                presence.operationBegins()
                let timeout = policy.maxRunTime ?? Self.usualRunTime
                return .made(try await request.forward(in: context, on: self.terms, timeout: timeout))
            })
    }

    private func scope(of fields: HTTPFields) throws -> Scope {
        if let scopeHeaders { .headers(scopeHeaders, in: fields) } else { try .credentials(in: fields) }
    }

    // MARK: What the proxy says itself

    func problem(_ failure: ProxyFailure) -> ProblemResponse {
        let base = self.table.withLock { $0 }.standard.problemTypeBase
        let parts = failure.problem(typeBase: base).response
        return ProblemResponse(head: parts.head, body: parts.bytes ?? [])
    }

    private var pathIsAmbiguous: ResponseParts {
        let base = self.table.withLock { $0 }.standard.problemTypeBase
        return ProblemDetails(
            type: base + "path-ambiguous", title: "The path can be read in several ways, which different rules are for",
            status: .badRequest
        ).response
    }

    func upstreamResponded(after duration: TimeAmount) {
        self.telemetry.upstreamResponded(after: duration)
    }

    func upstreamFailed(_ failure: ProxyFailure) {
        self.telemetry.upstreamFailed(failure)
    }

    func ended(_ record: RequestRecord) {
        if let status = record.status { self.telemetry.responded(status) }
        if self.logsRequests { self.log(record) }
    }

    /// The path alone: a query may hold secrets, and the authority of an absolute form a password.
    static func path(of target: String) -> Substring {
        // Byte by byte: to Swift, a question mark that a combining mark follows is another character.
        let end = target.utf8.firstIndex { $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") } ?? target.endIndex
        let target = target[..<end]
        if target.hasPrefix("/") || target == "*" { return target }
        // Of CONNECT, the target is an authority alone.
        guard let scheme = target.firstRange(of: "://") else { return "-" }
        return target[scheme.upperBound...].drop { $0 != "/" }
    }

    private func log(_ record: RequestRecord) {
        self.logger.info(
            record.status == nil ? "Ended without a response" : "Responded",
            metadata: [
                "client.address": "\(record.client ?? "-")",
                "http.request.method": "\(record.method ?? "-")",
                "url.path": "\(Self.path(of: record.target ?? "-"))",
                "http.response.status_code": "\(record.status.map { "\($0)" } ?? "-")",
                "http.response.body.size": "\(record.bodySize)",
                "idempotency.status": "\(record.madeHead?.headerFields[.idempotencyStatus] ?? "-")",
                "duration": "\(Duration.nanoseconds(record.duration.nanoseconds))",
            ])
    }
}

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
    private let scopeHeaders: [HTTPField.Name]?
    private let telemetry = ProxyTelemetry()
    private let logger: Logger
    private let logsRequests: Bool
    private let table: Mutex<RuleTable>

    init(_ idempotency: Idempotency, configuration: ProxyConfiguration, logger: Logger) {
        self.idempotency = idempotency
        self.scopeHeaders = configuration.scopeHeaders
        self.logger = logger
        self.logsRequests = configuration.logsRequests
        self.table = Mutex(RuleTable(configuration.rules))
    }

    var rules: ProxyRules { self.table.withLock { $0 }.rules }

    func replaceRules(with rules: ProxyRules) {
        self.table.withLock { $0 = RuleTable(rules) }
    }

    private func policy(for target: String) -> SharedPolicy {
        self.table.withLock { $0 }.policy(for: target)
    }

    // MARK: Requests

    func route(_ head: borrowing RequestHead) -> RequestRoute {
        let head = copy head
        let mayGuard = self.policy(for: head.target).mayGuard(head.method) { head.hasField($0.rawName) }
        return mayGuard ? .handle : .forward
    }

    func handle(_ request: HandledRequest) async throws -> HandledResult {
        // A field that cannot be represented could be what tells two callers apart.
        guard let head = request.httpRequest else { throw ProxyFailure.badRequest }
        let policy = self.policy(for: request.head.target)
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
            to: request, through: ProxyAdapter(typeBase: policy.problemTypeBase, logger: self.logger),
            scope: { try self.scope(of: $0.head.headerFields) }, under: policy, hooks: hooks,
            operation: { request, context in
                guard let context else { return .forwarded(read: request.body) }
                presence.operationBegins()
                return .made(try await request.forward(in: context, timeout: policy.maxRunTime ?? Self.usualRunTime))
            })
    }

    private func scope(of fields: HTTPFields) throws(ScopeProblem) -> Scope {
        if let scopeHeaders { .headers(scopeHeaders, in: fields) } else { try .credentials(in: fields) }
    }

    // MARK: What the proxy says itself

    func problem(_ failure: ProxyFailure) -> ProblemResponse {
        let base = self.table.withLock { $0 }.standard.problemTypeBase
        let parts = failure.problem(typeBase: base).response
        return ProblemResponse(head: parts.head, body: parts.bytes ?? [])
    }

    func upstreamResponded(after duration: TimeAmount) {
        self.telemetry.upstreamResponded(after: duration)
    }

    func upstreamFailed(_ failure: ProxyFailure) {
        self.telemetry.upstreamFailed(failure)
    }

    func responded(_ record: RequestRecord) {
        self.telemetry.responded(record.status)
        if self.logsRequests { self.log(record) }
    }

    private func log(_ record: RequestRecord) {
        self.logger.info(
            "Responded",
            metadata: [
                "client.address": "\(record.client ?? "-")",
                "http.request.method": "\(record.method ?? "-")",
                "url.path": "\((record.target ?? "-").prefix { $0 != "?" })",
                "http.response.status_code": "\(record.status)",
                "http.response.body.size": "\(record.bodySize)",
                "idempotency.status": "\(record.madeHead?.headerFields[.idempotencyStatus] ?? "-")",
                "duration": "\(Duration.nanoseconds(record.duration.nanoseconds))",
            ])
    }
}

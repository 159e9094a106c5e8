import HTTPProxy
import HTTPTypes
public import Idemptx
public import Logging
import NIOPosix
public import ServiceLifecycle
import Synchronization

/// A server that makes the API behind it safe to retry, without a change to it.
///
/// ```swift
/// let configuration = ProxyConfiguration(upstream: try Upstream("http://localhost:3000")) { $0.port = 8080 }
/// let proxy = try ReverseProxy(configuration: configuration, store: store, logger: logger)
/// try await ServiceGroup(services: [store, proxy], gracefulShutdownSignals: [.sigterm], logger: logger).run()
/// ```
///
/// A request with a key runs once, by the rules of the configuration; every other one passes. Requests and responses pass
/// as they are: method, target, header fields in their order, and any body, streamed both ways. What is guarded is stored
/// before it is sent.
///
/// If the upstream cannot be reached, nothing ran, and the key is free again. If the connection is lost once the request
/// was sent, it is not known whether it ran: the response, 502, is kept like any other. An upstream that takes long is
/// neither: its client gets 504, the key stays in progress, and the response is stored when it comes.
public final class ReverseProxy: Service {
    private let configuration: ProxyConfiguration
    private let logger: Logger
    private let onServerRunning: @Sendable (Int?) async -> Void
    private let idempotency: Idempotency
    private let handler: ProxyHandler
    private let tls: ServerTLS?
    private let upstream: ServerConfiguration.Upstream
    /// Shared by all requests, guarded or not.
    private let bodies: BodyBudget
    private let serving = Atomic(false)

    /// Creates a proxy, which starts with ``run()``.
    ///
    /// - Parameters:
    ///   - configuration: How it works.
    ///   - store: Where records are kept.
    ///   - logger: What it tells.
    ///   - onServerRunning: Called with the port once it accepts connections.
    /// - Throws: ``InvalidProxyConfiguration``.
    public init(
        configuration: ProxyConfiguration,
        store: any IdempotencyStore,
        logger: Logger,
        onServerRunning: @escaping @Sendable (_ port: Int?) async -> Void = { _ in }
    ) throws(InvalidProxyConfiguration) {
        try configuration.check()
        self.configuration = configuration
        self.logger = logger
        self.onServerRunning = onServerRunning
        self.idempotency = Idempotency(store: store, policy: configuration.rules.standard)
        self.handler = try ProxyHandler(self.idempotency, configuration: configuration, logger: logger)
        self.upstream = try configuration.upstream.engineAddress()
        self.bodies = BodyBudget(limit: configuration.rules.largestBodyBudget)
        self.tls = try configuration.certificate.map { certificate throws(InvalidProxyConfiguration) in
            try ServerTLS(certificate, minimumVersion: configuration.minimumTLSVersion)
        }
    }

    /// Whether requests are taken: from when the proxy listens until its shutdown begins.
    public var isServing: Bool { self.serving.load(ordering: .relaxed) }

    /// By which rules requests are made idempotent.
    public var rules: ProxyRules { self.handler.rules }

    /// Puts other rules in force, for the requests that begin from now on; those under way end by the rules they began with.
    ///
    /// - Parameter rules: The rules.
    public func replaceRules(with rules: ProxyRules) {
        self.handler.replaceRules(with: rules)
        self.bodies.change(to: rules.largestBodyBudget)
    }

    /// Reads the files of the certificate again, for the connections that are made from now on.
    ///
    /// - Throws: ``InvalidProxyConfiguration`` if they cannot be used; then the certificate stays as it was.
    public func reloadCertificate() throws(InvalidProxyConfiguration) {
        try self.tls?.reload()
    }

    /// Serves until a graceful shutdown, then finishes what is under way.
    ///
    /// A shutdown takes no longer than `ProxyLimits.drainTimeout`, a second for the last responses, and what storing their
    /// outcomes takes.
    ///
    /// - Throws: An error if the address cannot be listened on.
    public func run() async throws {
        let server = try await ProxyServer.start(
            self.serverConfiguration, handler: self.handler, on: MultiThreadedEventLoopGroup.singleton,
            logger: self.logger)
        await self.idempotency.recordingUnknownOutcomes {
            self.serving.store(true, ordering: .relaxed)
            await self.onServerRunning(server.port)
            try? await gracefulShutdown()
            self.serving.store(false, ordering: .relaxed)
            await server.shutDown(drainTime: self.configuration.limits.drainTimeout)
            // In a task of its own: outcomes are stored also if this one has been cancelled.
            await Task { await self.idempotency.drain() }.value
        }
    }

    private var serverConfiguration: ServerConfiguration {
        let configuration = self.configuration
        var rewriting = HeadRewriting(pseudonym: configuration.pseudonym)
        rewriting.host = configuration.hostField == .upstream ? .upstream : .preserved
        rewriting.forwarded = configuration.forwardedFields == .extended ? .extended : .replaced
        rewriting.ownedFields = [HTTPField.Name.idempotencyAttempt.canonicalName]
        rewriting.privateFields = [HTTPField.Name.idempotencyDisposition.canonicalName]
        return ServerConfiguration(upstream: self.upstream, rewriting: rewriting) { server in
            server.host = configuration.host
            server.port = configuration.port
            if let tls = self.tls { server.tls = { tls.context } }
            server.limits = configuration.limits.ofServer
            server.bodies = self.bodies
        }
    }
}

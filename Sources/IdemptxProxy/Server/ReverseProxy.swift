import Hummingbird
import HummingbirdCore
public import Idemptx
import IdemptxHummingbird
public import Logging
import NIOCore
import NIOHTTP2
import NIOPosix
import NIOSSL
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
/// A request with a key runs once, by the rules of the configuration; every other one passes. Requests and answers pass as
/// they are: method, target, header fields in their order, and any body, streamed both ways. What is guarded is stored
/// before it is sent. Only bytes in a header that are no UTF-8 cannot pass: a request with some is refused, and in an answer
/// U+FFFD takes their place.
///
/// If the upstream cannot be reached, nothing ran, and the key is free again. If the connection is lost once the request
/// was sent, it is not known whether it ran: the answer, 502 or 504, is kept like any other.
public final class ReverseProxy: Service {
    /// How long clients may take for the last answers.
    private static let farewellTime = Duration.seconds(1)

    private let configuration: ProxyConfiguration
    private let logger: Logger
    private let onServerRunning: @Sendable (Int?) async -> Void
    private let idempotency: Idempotency
    private let currentRules: Mutex<ProxyRules>
    private let tls: NIOSSLContext?
    private let upstreamTLS: TLSConfiguration
    private let telemetry = ProxyTelemetry()
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
        self.currentRules = Mutex(configuration.rules)
        self.upstreamTLS = try configuration.upstream.tlsConfiguration()
        self.tls = try configuration.certificate.map { certificate throws(InvalidProxyConfiguration) in
            try certificate.serverContext()
        }
    }

    /// Whether requests are taken: from when the proxy listens until its shutdown begins.
    public var isServing: Bool { self.serving.load(ordering: .relaxed) }

    /// By which rules requests are made idempotent.
    public var rules: ProxyRules { self.currentRules.withLock { $0 } }

    /// Puts other rules in force, for the requests that begin from now on; those under way end by the rules they began with.
    ///
    /// - Parameter rules: The rules.
    public func replaceRules(with rules: ProxyRules) {
        self.currentRules.withLock { $0 = rules }
    }

    /// Serves until a graceful shutdown, then finishes what is under way.
    ///
    /// A shutdown takes no longer than `ProxyLimits.drainTimeout`, a second for the last answers, and what storing their
    /// outcomes takes.
    ///
    /// - Throws: An error if the address cannot be listened on.
    public func run() async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let client = UpstreamClient(
            self.configuration.upstream, tls: self.upstreamTLS, limits: self.configuration.limits, on: group)
        do {
            try await self.idempotency.recordingUnknownOutcomes {
                try await self.serve(self.server(client: client, on: group), cutting: client)
            }
        } catch {
            await client.shutDown()
            throw error
        }
        await client.shutDown()
    }

    private func serve(_ server: any Service, cutting client: UpstreamClient) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            group.addTask {
                do {
                    try await gracefulShutdown()
                    self.serving.store(false, ordering: .relaxed)
                    try await Task.sleep(for: self.configuration.limits.drainTimeout)
                } catch {}
                // What still waits for the upstream fails, so that its outcome is stored as unknown.
                await client.shutDown()
                // Whoever waits is told, unless he does not listen.
                try? await Task.sleep(for: Self.farewellTime)
            }
            // Either the server is done, or its time is over. Cancelled, it still waits for outcomes to be stored.
            try await group.next()
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    private func server(client: UpstreamClient, on group: any EventLoopGroup) -> any Service {
        let (limits, responder) = (self.configuration.limits, self.responder(client: client))
        let respond = { @Sendable (isHTTP2: Bool) -> HTTPChannelHandler.Responder in
            { request, writer, channel in
                try await responder.respond(to: request, by: writer, on: channel, isHTTP2: isHTTP2)
            }
        }
        let refusal = { @Sendable (kind: ProxyProblem.Kind) -> ResponseParts in
            self.telemetry.answered(kind.status)
            var response = ProxyProblem(kind).response(under: self.rules.standard)
            response.head.headerFields.setDate()
            return response
        }
        let channel: any ServerChildChannel =
            if let tls {
                SecureServerChannel(tls: tls, limits: limits, responder: respond, refusal: refusal)
            } else {
                HTTP1ServerChannel(responder: respond(false), limits: limits, isSecure: false, refusal: refusal)
            }
        return channel.server(
            configuration: ServerConfiguration(
                address: .hostname(self.configuration.host, port: self.configuration.port),
                availableConnectionsDelegate: .maximum(limits.maxConnections, logger: self.logger)),
            onServerRunning: { channel in
                self.serving.store(true, ordering: .relaxed)
                await self.onServerRunning(channel.localAddress?.port)
            },
            eventLoopGroup: group,
            logger: self.logger)
    }

    private func responder(client: UpstreamClient) -> ProxyResponder {
        let configuration = self.configuration
        let forwarder = Forwarder(
            client: client,
            rewriter: RequestHeadRewriter(
                hostField: configuration.hostField, forwardedFields: configuration.forwardedFields,
                authority: configuration.upstream.authority),
            maxBodySize: configuration.limits.maxBodySize ?? .max,
            telemetry: self.telemetry)
        let middleware = IdempotencyMiddleware<ProxyContext>(
            idempotency: self.idempotency,
            scope: configuration.scopeHeaders.map { .headers($0) } ?? .credentials,
            policy: { _, context in context.policy })
        return ProxyResponder(
            middleware: middleware, forwarder: forwarder, maxHeaderCount: configuration.limits.maxHeaderCount,
            rules: { self.rules }, telemetry: self.telemetry, logger: self.logger,
            logsRequests: configuration.logsRequests)
    }
}

extension ServerCertificate {
    fileprivate func serverContext() throws(InvalidProxyConfiguration) -> NIOSSLContext {
        do {
            let chain = try NIOSSLCertificate.fromPEMFile(self.chainPath)
            let key = try NIOSSLPrivateKey(file: self.keyPath, format: .pem)
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
            configuration.applicationProtocols = NIOHTTP2SupportedALPNProtocols
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw InvalidProxyConfiguration(
                "The certificate \(self.chainPath) and the key \(self.keyPath) cannot be used together.")
        }
    }
}

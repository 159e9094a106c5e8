import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import NIOSSL

/// Sends requests to the upstream, each over a connection of its own or one that is free again.
final class UpstreamClient: Sendable {
    private let client: HTTPClient
    private let exchanges: ExchangeTable
    private let url: String

    init(_ upstream: Upstream, tls: TLSConfiguration, limits: ProxyLimits, on group: any EventLoopGroup) {
        let exchanges = ExchangeTable()
        var configuration = HTTPClient.Configuration()
        configuration.tlsConfiguration = tls
        // Nothing is to happen that the client of the proxy did not ask for.
        configuration.redirectConfiguration = .disallow
        configuration.decompression = .disabled
        configuration.httpVersion = .http1Only
        configuration.timeout.connect = TimeAmount(limits.connectTimeout)
        configuration.connectionPool.idleTimeout = TimeAmount(limits.upstreamIdleTime)
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = limits.maxUpstreamConnections
        // A request that was not sent is tried again here, but not for as long as the timeout.
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.http1_1ConnectionDebugInitializer = { channel in
            channel.eventLoop.makeCompletedFuture {
                let pipeline = channel.pipeline.syncOperations
                let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPResponseDecoder>.self)
                let handler = UpstreamConnectionHandler(
                    exchanges: exchanges, timeout: TimeAmount(limits.upstreamTimeout))
                try pipeline.addHandler(handler, position: .after(decoder))
            }
        }
        self.exchanges = exchanges
        self.url = upstream.url
        self.client = HTTPClient(eventLoopGroupProvider: .shared(group), configuration: configuration)
    }

    /// Sends a request.
    ///
    /// What did not reach the upstream is sent again, twice at most: a connection that was free may have been closed just
    /// now, or a socket may have had no room in its queue.
    ///
    /// - Parameters:
    ///   - exchange: The request.
    ///   - body: Its body.
    /// - Returns: The head of the answer, and its body as it comes.
    /// - Throws: What went wrong. Whether the upstream may have got the request is for the exchange to tell.
    func send(_ exchange: UpstreamExchange, body: ForwardedBody) async throws -> HTTPClientResponse {
        for pause in [Duration.zero, .milliseconds(100)] {
            do {
                return try await self.sendOnce(exchange, body: body)
            } catch {
                let isInVain = exchange.isSent || exchange.isAbandoned || !body.isUntouched || Self.isTimeout(error)
                guard !isInVain else { throw error }
                try await Task.sleep(for: pause)
            }
        }
        return try await self.sendOnce(exchange, body: body)
    }

    private static func isTimeout(_ error: any Error) -> Bool {
        [.connectTimeout, .getConnectionFromPoolTimeout].contains(error as? HTTPClientError)
    }

    private func sendOnce(_ exchange: UpstreamExchange, body: ForwardedBody) async throws -> HTTPClientResponse {
        guard !exchange.isAbandoned else { throw CancellationError() }
        let number = self.exchanges.add(exchange)
        defer { self.exchanges.remove(number) }
        var standIn = HTTPClientRequest(url: self.url)
        standIn.method = exchange.head.method
        standIn.headers = [UpstreamConnectionHandler.numberField: "\(number)"]
        standIn.body = body.clientBody
        return try await self.client.execute(standIn, deadline: .distantFuture)
    }

    /// Ends all that is under way.
    func shutDown() async {
        try? await self.client.shutdown()
    }
}

extension Upstream {
    /// - Throws: ``InvalidProxyConfiguration`` if a certificate cannot be read.
    func tlsConfiguration() throws(InvalidProxyConfiguration) -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        switch self.trust {
        case .system: break
        case .insecure: configuration.certificateVerification = .none
        case .authority(let path):
            guard let certificates = try? NIOSSLCertificate.fromPEMFile(path), !certificates.isEmpty else {
                throw InvalidProxyConfiguration("The authority's certificate \(path) cannot be read.")
            }
            configuration.trustRoots = .certificates(certificates)
        }
        return configuration
    }
}

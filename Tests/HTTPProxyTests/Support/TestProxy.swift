import HTTPProxy
import HTTPTestSupport
import HTTPTypes
import Logging
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing

/// What a test wants different from the defaults.
struct Change {
    let apply: (inout ServerConfiguration) throws -> Void

    init(_ apply: @escaping (inout ServerConfiguration) throws -> Void = { _ in }) {
        self.apply = apply
    }
}

/// A handler that handles what has a key, and responds with the bare name of a problem.
final class TestHandler: RequestHandler {
    typealias Handle = @Sendable (HandledRequest) async throws -> HandledResponse
    typealias HandleAny = @Sendable (HandledRequest) async throws -> HandledResult

    private let response: HandleAny
    private let state = Mutex<(failures: [ProxyFailure], records: [RequestRecord])>(([], []))

    var failures: [ProxyFailure] { self.state.withLock { $0.failures } }
    var records: [RequestRecord] { self.state.withLock { $0.records } }

    init(_ response: @escaping HandleAny) {
        self.response = response
    }

    func route(_ head: RequestHead) -> RequestRoute {
        head.values(of: "Idempotency-Key").isEmpty ? .forward : .handle
    }

    func handle(_ request: HandledRequest) async throws -> HandledResult { try await self.response(request) }

    func problem(_ failure: ProxyFailure) -> ProblemResponse {
        var head = HTTPResponse(status: .init(code: failure.status))
        head.headerFields[.contentType] = "application/problem+json"
        return ProblemResponse(head: head, body: Array("\(failure.rawValue)".utf8))
    }

    func upstreamResponded(after duration: TimeAmount) {}

    func upstreamFailed(_ failure: ProxyFailure) { self.state.withLock { $0.failures.append(failure) } }

    func ended(_ record: RequestRecord) { self.state.withLock { $0.records.append(record) } }

    /// Reads the whole body, sends the request upstream, and the response back.
    static let relaying = Extents().relaying

    /// Sends the request upstream, and the response back as it comes.
    static let streaming: Handle = { request in
        guard case .response(let response) = await request.forward(body: try await request.collect()) else {
            throw ProxyFailure.upstreamFailed
        }
        return HandledResponse(
            head: response.head,
            body: .stream(length: response.length) { writer in
                for try await chunk in response.body { try await writer.write(chunk) }
                return Array(response.body.trailers)
            })
    }
}

extension HandledRequest {
    func collect() async throws -> ByteBuffer {
        var bytes = ByteBuffer()
        for try await chunk in self.body { bytes.writeImmutableBuffer(chunk) }
        return bytes
    }
}

extension UpstreamResponse {
    func collected() async throws -> HandledResponse {
        var bytes = ByteBuffer()
        do {
            for try await chunk in self.body { bytes.writeImmutableBuffer(chunk) }
        } catch is UpstreamFailure {
            throw ProxyFailure.upstreamFailed
        }
        return HandledResponse(head: self.head, body: .bytes(bytes))
    }
}

/// A proxy in front of an upstream, both on ports of their own.
struct TestProxy: Sendable {
    let server: ProxyServer
    let port: Int
    let upstream: TestUpstream
    let handler: TestHandler

    /// Runs both while `body` runs.
    @discardableResult
    static func with<Value: Sendable>(
        script: @escaping TestUpstream.Script = TestUpstream.responding { _ in .response() },
        handle: @escaping TestHandler.Handle = TestHandler.relaying,
        handleAny: TestHandler.HandleAny? = nil,
        configure: Change = Change(),
        _ body: (TestProxy) async throws -> Value
    ) async throws -> Value {
        try await TestUpstream.with(script: script) { upstream in
            let port = try #require(upstream.port)
            return try await self.run(
                to: .init(.host("127.0.0.1", port: port), authority: "127.0.0.1:\(port)"), in: upstream, handle: handle,
                handleAny: handleAny,
                configure: configure, body)
        }
    }

    /// Runs a proxy while `body` runs.
    @discardableResult
    static func run<Value: Sendable>(
        to address: ServerConfiguration.Upstream,
        in upstream: TestUpstream,
        handle: @escaping TestHandler.Handle = TestHandler.relaying,
        handleAny: TestHandler.HandleAny? = nil,
        configure: Change = Change(),
        _ body: (TestProxy) async throws -> Value
    ) async throws -> Value {
        var configuration = ServerConfiguration(upstream: address, rewriting: HeadRewriting(pseudonym: "proxy-1"))
        try configure.apply(&configuration)
        let handler = TestHandler(handleAny ?? { .response(try await handle($0)) })
        let server = try await ProxyServer.start(
            configuration, handler: handler, on: MultiThreadedEventLoopGroup.singleton, logger: .silent)
        let proxy = TestProxy(
            server: server, port: try #require(server.port), upstream: upstream, handler: handler)
        do {
            let value = try await body(proxy)
            await server.shutDown(drainTime: .zero, lastTime: .zero)
            return value
        } catch {
            await server.shutDown(drainTime: .zero, lastTime: .zero)
            throw error
        }
    }

    /// Sends one request over a connection of its own.
    func send(_ request: String, _ fields: [String] = [], body: String? = nil) async throws -> WireMessage {
        try await RawConnection.open(port: self.port) { connection in
            try await connection.send(request, fields, body: body)
        }
    }

    /// Sends a request that is handled.
    func pay(_ fields: [String] = [], body: String = #"{"amount":5}"#) async throws -> WireMessage {
        try await self.send("POST /charges", ["Idempotency-Key: k-1"] + fields, body: body)
    }

    /// Connects, and takes nothing of what comes.
    func openWithoutReading(_ body: (any Channel) async throws -> Void) async throws {
        let channel = try await RawConnection.connect(port: self.port)
        try await body(channel)
        try? await channel.close()
    }
}

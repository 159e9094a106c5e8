import HTTPProxy
import HTTPTypes
import Logging
import NIOCore
import NIOPosix

/// The engine of the proxy alone, to be measured against other reverse proxies: `ForwardingProxy <port> <upstream port>
/// <event loops> [handle]`.
@main
struct ForwardingProxy {
    struct Handler: RequestHandler {
        let handles: Bool

        func route(_ head: borrowing RequestHead) -> RequestRoute { self.handles ? .handle : .forward }

        func handle(_ request: HandledRequest) async throws -> HandledResponse {
            var body = ByteBuffer()
            for try await chunk in request.body { body.writeImmutableBuffer(chunk) }
            guard case .response(let response) = await request.forward(body: body) else {
                throw ProxyFailure.upstreamFailed
            }
            var bytes = ByteBuffer()
            for try await chunk in response.body { bytes.writeImmutableBuffer(chunk) }
            return HandledResponse(head: response.head, body: .bytes(bytes))
        }

        func problem(_ failure: ProxyFailure) -> ProblemResponse {
            ProblemResponse(head: HTTPResponse(status: .init(code: failure.status)), body: Array(failure.rawValue.utf8))
        }

        func upstreamFailed(_ failure: ProxyFailure) {}

        func responded(_ record: RequestRecord) {}
    }

    static func main() async throws {
        let arguments = CommandLine.arguments.dropFirst().compactMap { Int($0) }
        guard arguments.count == 3 else {
            return print("ForwardingProxy <port> <upstream port> <event loops> [handle]")
        }
        let upstream = ServerConfiguration.Upstream(
            .host("127.0.0.1", port: arguments[1]), authority: "127.0.0.1:\(arguments[1])")
        let configuration = ServerConfiguration(upstream: upstream, rewriting: HeadRewriting(pseudonym: "bench")) {
            $0.port = arguments[0]
        }
        let server = try await ProxyServer.start(
            configuration, handler: Handler(handles: CommandLine.arguments.contains("handle")),
            on: MultiThreadedEventLoopGroup(numberOfThreads: arguments[2]),
            logger: Logger(label: "proxy"))
        print("Listening on \(server.port ?? 0)")
        try await Task.sleep(for: .seconds(24 * 60 * 60))
    }
}

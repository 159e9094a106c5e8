import NIOCore
import NIOPosix
package import NIOSSL
import Synchronization
package import TestSupport

/// A server whose every byte a test decides.
package final class TestUpstream: Sendable {
    /// Leads one connection to its end.
    package typealias Script = @Sendable (RawConnection, TestUpstream) async throws -> Void

    private struct State {
        var requests: [WireMessage] = []
        var connections = 0
        var closed = 0
    }

    /// Where it listens; `nil` for a Unix socket.
    package let port: Int?
    private let state = Mutex(State())

    /// The requests that have come, in the order of their coming.
    package var requests: [WireMessage] { self.state.withLock { $0.requests } }

    /// How many connections were opened.
    package var connections: Int { self.state.withLock { $0.connections } }

    /// How many of them have ended.
    package var closedConnections: Int { self.state.withLock { $0.closed } }

    /// The only request.
    package var request: WireMessage? { self.requests.count == 1 ? self.requests.first : nil }

    private init(port: Int?) {
        self.port = port
    }

    package func record(_ request: WireMessage) {
        self.state.withLock { $0.requests.append(request) }
    }

    /// A script that records each request and responds to it.
    package static func responding(_ response: @escaping @Sendable (WireMessage) async throws -> [UInt8]) -> Script {
        { connection, upstream in
            while let request = try await connection.readMessage() {
                upstream.record(request)
                try await connection.write(try await response(request))
            }
        }
    }

    /// Serves while `body` runs.
    package static func with<Value: Sendable>(
        tls: NIOSSLContext? = nil,
        socket: String? = nil,
        script: @escaping Script,
        _ body: (TestUpstream) async throws -> Value
    ) async throws -> Value {
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelOption(.allowRemoteHalfClosure, value: false)
        let initializer = { @Sendable (channel: any Channel) in
            RawConnection.wrap(channel) { channel in
                guard let tls else { return }
                try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls))
            }.map { RawConnection.Accepted($0) }
        }
        let server =
            if let socket {
                try await bootstrap.bind(unixDomainSocketPath: socket, childChannelInitializer: initializer)
            } else {
                try await bootstrap.bind(host: "127.0.0.1", port: 0, childChannelInitializer: initializer)
            }
        let upstream = TestUpstream(port: server.channel.localAddress?.port)
        return try await server.executeThenClose { connections in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await upstream.serve(connections, by: script) }
                defer { group.cancelAll() }
                return try await body(upstream)
            }
        }
    }

    private func serve(
        _ connections: NIOAsyncChannelInboundStream<RawConnection.Accepted>,
        by script: @escaping Script
    ) async throws {
        try await withThrowingDiscardingTaskGroup { group in
            for try await connection in connections {
                self.state.withLock { $0.connections += 1 }
                group.addTask {
                    // Whatever goes wrong on a connection is seen by the proxy.
                    try? await connection.use { try await script($0, self) }
                    self.state.withLock { $0.closed += 1 }
                }
            }
        }
    }
}

extension [UInt8] {
    /// The bytes of a response of known length.
    package static func response(_ status: String = "200 OK", _ fields: [String] = [], body: String = "") -> [UInt8] {
        Self.response(status, fields, bytes: Array(body.utf8))
    }

    /// The bytes of a response of known length.
    package static func response(_ status: String, _ fields: [String], bytes: [UInt8]) -> [UInt8] {
        Self.message(["HTTP/1.1 \(status)"] + fields + ["Content-Length: \(bytes.count)"]) + bytes
    }

    /// Some lines, and the empty one that ends a head.
    package static func message(_ lines: [String]) -> [UInt8] {
        Array((lines + ["", ""]).joined(separator: "\r\n").utf8)
    }

    /// The chunks of a body, without the last one.
    package static func chunks(_ bytes: [UInt8], of size: Int) -> [UInt8] {
        stride(from: 0, to: bytes.count, by: size).reduce(into: []) { wire, start in
            let chunk = bytes[start..<Swift.min(start + size, bytes.count)]
            wire += Array((String(chunk.count, radix: 16) + "\r\n").utf8) + chunk + [13, 10]
        }
    }
}

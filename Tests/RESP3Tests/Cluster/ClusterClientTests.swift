import NIOCore
import RedisServerTesting
import Synchronization
import TestSupport
import Testing

@testable import RESP3

@Suite("A client of a cluster", .timeLimit(.minutes(2)))
struct ClusterClientTests {
    /// The reply of a cluster of one server.
    private static func map(port: Int) -> String {
        "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:\(port)\r\n"
    }

    /// Replies as a server of a cluster; to `GET` with `gets` in turn.
    private static func replies(_ ports: Ports, _ gets: [String]) -> FakeServer.Replies {
        let count = Count()
        return { words in
            switch words[0] {
            case "HELLO": "_\r\n"
            case "CLUSTER": Self.map(port: ports.owner)
            case "COMMAND": "*1\r\n_\r\n"
            case "GET": gets[count.next() % gets.count].replacing("PORT", with: "\(ports.successor)")
            case "ASKING": "+OK\r\n"
            default: nil
            }
        }
    }

    private func withServers(
        _ first: String, _ second: String...,
        body: (any RedisClient, FakeServer, FakeServer, Ports) async throws -> Void
    ) async throws {
        let ports = Ports()
        try await FakeServer.with(Self.replies(ports, [first])) { old in
            try await FakeServer.with(Self.replies(ports, second)) { new in
                ports.set(owner: await old.port, successor: await new.port)
                let url = await old.url.replacing("redis:", with: "redis+cluster:")
                try await withClient(url, { $0.backoff.sleep = { _ in } }) { client in
                    try await body(client, old, new, ports)
                }
            }
        }
    }

    @Test("drops the connections to a server that has left the cluster")
    func leaving() async throws {
        let moved = "-MOVED 12539 127.0.0.1:PORT\r\n"
        let down = "-CLUSTERDOWN The cluster is down\r\n"
        try await self.withServers(moved, down, "+value\r\n") { client, old, new, ports in
            _ = try await client.publishCommand()
            ports.succeed()
            try await eventually("the server that has left is left alone") {
                // Each time, the map is asked for once more.
                let reply = try await client.send(["GET", "key"], key: "key")
                #expect(reply.string == "value")
                return await old.openCount == 0
            }
            #expect(await new.openCount == 1)
        }
    }

    @Test("asks where it is sent for one command, and nowhere else for the next")
    func asking() async throws {
        try await self.withServers("-ASK 12539 127.0.0.1:PORT\r\n", "+value\r\n") { client, old, new, _ in
            for _ in 0..<2 {
                let reply = try await client.send(["GET", "key"], key: "key")
                #expect(reply.string == "value")
            }
            #expect(await new.commands.map { $0[0] } == ["HELLO", "ASKING", "GET", "ASKING", "GET"])
            #expect(await old.commands.count { $0[0] == "GET" } == 2)
        }
    }

    @Test("gives up when it is sent around in circles")
    func circles() async throws {
        let moved = "-MOVED 12539 127.0.0.1:PORT\r\n"
        try await self.withServers(moved, moved) { client, old, new, _ in
            let replies = try await client.send([["GET", "key"]], key: "key", deadline: .now() + .seconds(20))
            #expect(replies.first?.serverError?.code == "MOVED")
            let count = await new.commands.count { $0[0] == "GET" }
            #expect(1...20 ~= count)
        }
    }

    @Test("does not repeat a command whose reply was lost")
    func lostReply() async throws {
        let ports = Ports()
        try await FakeServer.with(Self.replies(ports, ["+value\r\n"])) { server in
            ports.set(owner: await server.port, successor: 1)
            try await withClient(await server.url.replacing("redis:", with: "redis+cluster:")) { client in
                let silent = Task { try await client.send(["SILENCE"], key: "key") }
                try await server.waitFor("SILENCE")
                await server.hangUp()
                await #expect(throws: RedisError.replyLost("The server closed the connection.")) {
                    try await silent.value
                }
                _ = try await client.send(["GET", "key"], key: "key")
                #expect(await server.commands.count { $0[0] == "SILENCE" } == 1)
            }
        }
    }
}

/// Where the slots are, and where they are said to go.
private final class Ports: Sendable {
    private let state = Mutex((owner: 0, successor: 0))

    var owner: Int { self.state.withLock { $0.owner } }
    var successor: Int { self.state.withLock { $0.successor } }

    func set(owner: Int, successor: Int) { self.state.withLock { $0 = (owner, successor) } }
    func succeed() { self.state.withLock { $0.owner = $0.successor } }
}

private final class Count: Sendable {
    private let value = Atomic(0)

    func next() -> Int { self.value.wrappingAdd(1, ordering: .relaxed).oldValue }
}

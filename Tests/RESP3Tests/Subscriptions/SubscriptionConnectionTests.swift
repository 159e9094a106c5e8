import NIOPosix
import RedisServerTesting
import TestSupport
import Testing

@testable import RESP3

@Suite("A connection for subscriptions", .timeLimit(.minutes(2)))
struct SubscriptionConnectionTests {
    private final class Deaf: SubscriptionListener {
        func handle(_ event: SubscriptionEvent, from connection: SubscriptionConnection) {}
    }

    @Test("does not subscribe at a server that is replaced while it is being connected to")
    func replacedWhileConnecting() async throws {
        let mute: FakeServer.Replies = { _ in nil }
        try await FakeServer.with(mute) { old in
            try await FakeServer.with { new in
                let configuration = RedisConfiguration(try RedisEndpoint(url: "redis://127.0.0.1"))
                let connection = SubscriptionConnection(
                    try Relocation([await old.address, await new.address]).factory, configuration,
                    on: MultiThreadedEventLoopGroup.singleton.next())
                let listener = Deaf()
                connection.want(SubscriptionChannel(name: "news", isSharded: false), for: listener)
                try await old.waitFor("HELLO")
                await connection.retire(unlessAt: await new.address)
                await old.say("_\r\n")
                try await eventually("a server is asked") {
                    let commands = await old.commands + new.commands
                    return commands.contains { $0[0] == "SUBSCRIBE" }
                }
                #expect(await !old.commands.contains { $0[0] == "SUBSCRIBE" })
                #expect(await connection.peer == new.address)
                connection.close()
            }
        }
    }
}

import NIOCore
import Testing

@testable import RESP3

@Suite("What a connection for subscriptions decides")
struct SubscriptionStateTests {
    private let a = SubscriptionChannel(name: "a", isSharded: false)
    private let b = SubscriptionChannel(name: "b", isSharded: true)

    private func confirmation(_ kind: String, _ name: String) -> RESPValue {
        .push([.bulkString(ByteBuffer(string: kind)), .bulkString(ByteBuffer(string: name)), .integer(1)])
    }

    @Test("It connects for the first channel, and subscribes to all that are wanted")
    func connects() {
        let connection = Bench()
        #expect(connection.want(self.a).next == .connect(1))
        #expect(connection.want(self.b).next == .nothing)
        #expect(connection.opened(1).next == .flush)
        #expect(Set(connection.send()) == ["SUBSCRIBE a", "SSUBSCRIBE b"])
        #expect(connection.send() == [])
    }

    @Test("It tells of confirmations and messages, in the forms of both protocols")
    func messages() {
        for isArray in [false, true] {
            let connection = Bench.open(self.a, self.b)
            #expect(connection.received(self.confirmation("subscribe", "a"), isArray).events == [.subscribed(self.a)])
            #expect(connection.received(self.confirmation("ssubscribe", "b"), isArray).events == [.subscribed(self.b)])
            #expect(connection.received(self.confirmation("message", "a"), isArray).events == [.published(self.a)])
            #expect(connection.received(self.confirmation("smessage", "b"), isArray).events == [.published(self.b)])
            #expect(connection.unwant(self.a).next == .flush)
            #expect(connection.send() == ["UNSUBSCRIBE a"])
            #expect(connection.received(self.confirmation("unsubscribe", "a"), isArray).events == [])
        }
    }

    @Test("It subscribes anew after a loss, to what is still wanted")
    func loss() {
        let connection = Bench.open(self.a)
        _ = connection.received(self.confirmation("subscribe", "a"))
        let step = connection.ended(1)
        #expect(step.events == [.interrupted] && step.next == .connect(2))
        _ = connection.want(self.b)
        _ = connection.unwant(self.a)
        #expect(connection.opened(2).next == .flush)
        #expect(connection.send() == ["SSUBSCRIBE b"])
    }

    @Test("It pauses after a failed attempt, and tries again only if something is wanted")
    func pause() {
        let connection = Bench()
        _ = connection.want(self.a)
        let step = connection.ended(1)
        #expect(step.events == [.unreachable] && step.next == .pause(failures: 1))
        #expect(connection.pauseEnded().next == .connect(2))
        #expect(connection.ended(2).next == .pause(failures: 2))
        _ = connection.unwant(self.a)
        #expect(connection.pauseEnded().next == .nothing)
    }

    @Test("It tells which channel was refused")
    func refusal() {
        let connection = Bench.open(self.a)
        _ = connection.want(self.b)
        _ = connection.send()
        let error = ServerError("NOPERM no permissions to access one of the channels")
        #expect(connection.received(.error(error)).events == [.refused(self.a, error)])
        #expect(connection.received(self.confirmation("ssubscribe", "b")).events == [.subscribed(self.b)])
        _ = connection.ended(1)
        _ = connection.opened(2)
        #expect(connection.send() == ["SSUBSCRIBE b"])
    }

    @Test("It tells when the server ends a subscription by itself")
    func dislodged() {
        let connection = Bench.open(self.b)
        _ = connection.received(self.confirmation("ssubscribe", "b"))
        #expect(connection.received(self.confirmation("sunsubscribe", "b")).events == [.dislodged(self.b)])
        #expect(connection.want(self.b).next == .flush)
    }

    @Test("It gives a connection up on anything else")
    func violations() {
        let values: [RESPValue] = [
            .integer(1), self.confirmation("subscribe", "x"), .push(["message"]), self.confirmation("invalidate", "a"),
            .map([]), "PONG",
        ]
        for value in values {
            let connection = Bench.open(self.a)
            let step = connection.received(value)
            #expect(step.closesConnection && step.events == [.interrupted], "\(value)")
        }
        let idle = Bench.open(self.a)
        _ = idle.received(self.confirmation("subscribe", "a"))
        #expect(idle.received(.error(ServerError("ERR not asked"))).closesConnection)
    }

    @Test("It asks whether the server is there, and gives it up if it stays silent")
    func ping() {
        let connection = Bench.open(self.a)
        _ = connection.received(self.confirmation("subscribe", "a"))
        #expect(connection.tick().next == .flush)
        #expect(connection.send() == ["PING"])
        #expect(!connection.received(.array(["pong", ""])).closesConnection)
        #expect(connection.tick().next == .flush)
        #expect(connection.send() == ["PING"])
        // A message is a sign of life too.
        _ = connection.received(self.confirmation("message", "a"))
        #expect(!connection.tick().closesConnection)
        #expect(connection.tick().closesConnection)

        let refusing = Bench.open(self.a)
        _ = refusing.received(self.confirmation("subscribe", "a"))
        _ = refusing.tick()
        _ = refusing.send()
        #expect(!refusing.received(.error(ServerError("NOPERM no permission for ping"))).closesConnection)
    }

    @Test("It does not let requests pile up")
    func bounds() {
        let connection = Bench.open(self.a, limit: 3)
        _ = connection.unwant(self.a)
        _ = connection.want(self.a)
        #expect(connection.unwant(self.a).closesConnection)
        _ = connection.want(self.b)
        #expect(connection.pauseEnded().next == .connect(2))
        _ = connection.opened(2)
        #expect(connection.send() == ["SSUBSCRIBE b"])
    }

    @Test("It tells that it is of no use once it is closed")
    func closing() {
        let connection = Bench.open(self.a)
        let step = connection.close()
        #expect(step.closesConnection && step.events == [.interrupted])
        #expect(connection.want(self.b).events == [.unreachable])
        #expect(connection.ended(1).next == .nothing)
    }
}

private final class Bench {
    private var state: SubscriptionState

    init(limit: Int = 100) {
        self.state = SubscriptionState(limit: limit)
    }

    /// One that is connected, and has asked for the channels.
    static func open(_ channels: SubscriptionChannel..., limit: Int = 100) -> Bench {
        let bench = Bench(limit: limit)
        for channel in channels { _ = bench.want(channel) }
        _ = bench.opened(1)
        while !bench.send().isEmpty {}
        // In the order of the arguments, which a set does not keep.
        if channels.count > 1 { bench.reask(channels) }
        return bench
    }

    private func reask(_ channels: [SubscriptionChannel]) {
        self.state = SubscriptionState(limit: 100)
        _ = self.state.want(channels[0])
        _ = self.state.opened(1)
        _ = self.state.send()
        for channel in channels.dropFirst() { _ = self.state.want(channel) }
        _ = self.state.send()
    }

    func want(_ channel: SubscriptionChannel) -> SubscriptionStep { self.state.want(channel) }
    func unwant(_ channel: SubscriptionChannel) -> SubscriptionStep { self.state.unwant(channel) }
    func opened(_ attempt: Int) -> SubscriptionStep { self.state.opened(attempt) }
    func ended(_ attempt: Int) -> SubscriptionStep { self.state.ended(attempt) }
    func pauseEnded() -> SubscriptionStep { self.state.pauseEnded() }
    func tick() -> SubscriptionStep { self.state.tick() }
    func close() -> SubscriptionStep { self.state.close() }
    func send() -> [String] { self.state.send().map { $0.words.joined(separator: " ") } }

    func received(_ value: RESPValue, _ isArray: Bool = false) -> SubscriptionStep {
        self.state.received(isArray ? .array(value.elements ?? []) : value)
    }
}

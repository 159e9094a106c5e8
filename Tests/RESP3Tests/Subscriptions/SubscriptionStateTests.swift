import NIOCore
import Testing

@testable import RESP3

@Suite("What a link for subscriptions decides")
struct SubscriptionStateTests {
    private let a = SubscriptionChannel(name: "a", isSharded: false)
    private let b = SubscriptionChannel(name: "b", isSharded: true)

    private func confirmation(_ kind: String, _ name: String) -> RESPValue {
        .push([.bulkString(ByteBuffer(string: kind)), .bulkString(ByteBuffer(string: name)), .integer(1)])
    }

    @Test("It connects for the first channel, and subscribes to all that are wanted")
    func connects() {
        let link = Bench()
        #expect(link.want(self.a).next == .dial(1))
        #expect(link.want(self.b).next == .nothing)
        #expect(link.opened(1).next == .flush)
        #expect(Set(link.send()) == ["SUBSCRIBE a", "SSUBSCRIBE b"])
        #expect(link.send() == [])
    }

    @Test("It tells of confirmations and messages, in the forms of both protocols")
    func messages() {
        for isArray in [false, true] {
            let link = Bench.open(self.a, self.b)
            #expect(link.received(self.confirmation("subscribe", "a"), isArray).events == [.subscribed(self.a)])
            #expect(link.received(self.confirmation("ssubscribe", "b"), isArray).events == [.subscribed(self.b)])
            #expect(link.received(self.confirmation("message", "a"), isArray).events == [.published(self.a)])
            #expect(link.received(self.confirmation("smessage", "b"), isArray).events == [.published(self.b)])
            #expect(link.unwant(self.a).next == .flush)
            #expect(link.send() == ["UNSUBSCRIBE a"])
            #expect(link.received(self.confirmation("unsubscribe", "a"), isArray).events == [])
        }
    }

    @Test("It subscribes anew after a loss, to what is still wanted")
    func loss() {
        let link = Bench.open(self.a)
        _ = link.received(self.confirmation("subscribe", "a"))
        let step = link.ended(1)
        #expect(step.events == [.interrupted] && step.next == .dial(2))
        _ = link.want(self.b)
        _ = link.unwant(self.a)
        #expect(link.opened(2).next == .flush)
        #expect(link.send() == ["SSUBSCRIBE b"])
    }

    @Test("It pauses after a failed attempt, and tries again only if something is wanted")
    func pause() {
        let link = Bench()
        _ = link.want(self.a)
        let step = link.ended(1)
        #expect(step.events == [.unreachable] && step.next == .pause(failures: 1))
        #expect(link.pauseEnded().next == .dial(2))
        #expect(link.ended(2).next == .pause(failures: 2))
        _ = link.unwant(self.a)
        #expect(link.pauseEnded().next == .nothing)
    }

    @Test("It tells which channel was refused")
    func refusal() {
        let link = Bench.open(self.a)
        _ = link.want(self.b)
        _ = link.send()
        let error = ServerError("NOPERM no permissions to access one of the channels")
        #expect(link.received(.error(error)).events == [.refused(self.a, error)])
        #expect(link.received(self.confirmation("ssubscribe", "b")).events == [.subscribed(self.b)])
        _ = link.ended(1)
        _ = link.opened(2)
        #expect(link.send() == ["SSUBSCRIBE b"])
    }

    @Test("It tells when the server ends a subscription by itself")
    func dislodged() {
        let link = Bench.open(self.b)
        _ = link.received(self.confirmation("ssubscribe", "b"))
        #expect(link.received(self.confirmation("sunsubscribe", "b")).events == [.dislodged(self.b)])
        #expect(link.want(self.b).next == .flush)
    }

    @Test("It gives a connection up on anything else")
    func violations() {
        let values: [RESPValue] = [
            .integer(1), self.confirmation("subscribe", "x"), .push(["message"]), self.confirmation("invalidate", "a"),
            .map([]), "PONG",
        ]
        for value in values {
            let link = Bench.open(self.a)
            let step = link.received(value)
            #expect(step.closesConnection && step.events == [.interrupted], "\(value)")
        }
        let idle = Bench.open(self.a)
        _ = idle.received(self.confirmation("subscribe", "a"))
        #expect(idle.received(.error(ServerError("ERR nobody asked"))).closesConnection)
    }

    @Test("It asks whether the server is there, and gives it up if it stays silent")
    func ping() {
        let link = Bench.open(self.a)
        _ = link.received(self.confirmation("subscribe", "a"))
        #expect(link.tick().next == .flush)
        #expect(link.send() == ["PING"])
        #expect(!link.received(.array(["pong", ""])).closesConnection)
        #expect(link.tick().next == .flush)
        #expect(link.send() == ["PING"])
        // A message is a sign of life too.
        _ = link.received(self.confirmation("message", "a"))
        #expect(!link.tick().closesConnection)
        #expect(link.tick().closesConnection)

        let refusing = Bench.open(self.a)
        _ = refusing.received(self.confirmation("subscribe", "a"))
        _ = refusing.tick()
        _ = refusing.send()
        #expect(!refusing.received(.error(ServerError("NOPERM no permission for ping"))).closesConnection)
    }

    @Test("It does not let requests pile up")
    func bounds() {
        let link = Bench.open(self.a, limit: 3)
        _ = link.unwant(self.a)
        _ = link.want(self.a)
        #expect(link.unwant(self.a).closesConnection)
        _ = link.want(self.b)
        #expect(link.pauseEnded().next == .dial(2))
        _ = link.opened(2)
        #expect(link.send() == ["SSUBSCRIBE b"])
    }

    @Test("It tells that it is of no use once it is closed")
    func closing() {
        let link = Bench.open(self.a)
        let step = link.close()
        #expect(step.closesConnection && step.events == [.interrupted])
        #expect(link.want(self.b).events == [.unreachable])
        #expect(link.ended(1).next == .nothing)
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

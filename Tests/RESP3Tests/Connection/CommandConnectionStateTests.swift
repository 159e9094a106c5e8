import NIOCore
import Testing

@testable import RESP3

@Suite("What a connection decides")
struct CommandConnectionStateTests {
    @Test("It connects when the first command comes, and sends when it is connected")
    func connects() {
        let connection = Bench()
        #expect(connection.ask("a").next == .connect(1))
        #expect(connection.ask("b").next == .nothing)
        #expect(connection.send() == [])
        #expect(connection.opened(1).next == .flush)
        #expect(connection.send() == ["a", "b"])
        #expect(connection.received("1").told == ["a: 1"])
        #expect(connection.received("2").told == ["b: 2"])
    }

    @Test("A lost connection costs what was sent its reply, and nothing else")
    func loss() {
        let connection = Bench.open()
        _ = connection.ask("sent")
        #expect(connection.send() == ["sent"])
        _ = connection.ask("unsent")
        let step = connection.ended(.lost("Gone."), 1)
        #expect(step.told == ["sent: replyLost"])
        #expect(step.next == .connect(2))
        #expect(connection.opened(2).next == .flush)
        #expect(connection.send() == ["unsent"])
    }

    @Test("A connection that was good for nothing counts as a failed attempt")
    func uselessConnection() {
        let connection = Bench()
        _ = connection.ask("a")
        _ = connection.opened(1)
        #expect(connection.ended(.lost("Gone."), 1).next == .pause(failures: 1))
        #expect(connection.pauseEnded().next == .connect(2))
    }

    @Test("Commands outwait a few failed attempts; then they fail at once, until an attempt succeeds")
    func maximumConnectFailures() {
        let connection = Bench(maximumConnectFailures: 2)
        _ = connection.ask("a")
        #expect(connection.ended(.lost("Down."), 1).told == [])
        #expect(connection.pauseEnded().next == .connect(2))
        #expect(connection.ended(.lost("Down."), 2).told == ["a: notSent(Down.)"])
        #expect(connection.ask("b").told == ["b: notSent(Down.)"])
        // No command waits, so no attempt is made.
        #expect(connection.pauseEnded().next == .nothing)
        #expect(connection.ask("c").next == .connect(3))
        _ = connection.opened(3)
        #expect(connection.send() == ["c"])
        #expect(connection.received("1").told == ["c: 1"])
        #expect(connection.ended(.lost("Gone."), 3).next == .nothing)
        #expect(connection.ask("d").next == .connect(4))
        #expect(connection.ended(.lost("Down."), 4).told == [])
    }

    @Test("A refusal fails what waits at once")
    func refusal() {
        let connection = Bench(maximumConnectFailures: 9)
        _ = connection.ask("a")
        #expect(connection.ended(.refused("No."), 1).told == ["a: refused(No.)"])
        #expect(connection.ask("b").told == ["b: refused(No.)"])
    }

    @Test("A reply without a command, or a push without a subscription, ends the connection")
    func unexpectedReply() {
        for value in [RESPValue.integer(1), .push(["message"])] {
            let connection = Bench.open()
            let step = connection.received(value)
            #expect(step.closesConnection)
            _ = connection.ask("a")
            #expect(connection.isCurrent(2))
        }
        let connection = Bench.open()
        _ = connection.ask("a")
        _ = connection.send()
        #expect(connection.received(.push(["x"])).told == ["a: protocolViolation"])
    }

    @Test("Late events of an old connection mean nothing")
    func staleEvents() {
        let connection = Bench.open()
        _ = connection.ended(.lost("Gone."), 1)
        _ = connection.ask("a")
        #expect(!connection.isCurrent(1))
        #expect(connection.ended(.lost("Gone."), 1).next == .nothing)
        #expect(connection.opened(1).next == .nothing)
        #expect(connection.isCurrent(2))
    }

    @Test("A head that is overdue ends the connection; others only stop waiting")
    func deadlines() {
        let connection = Bench.open()
        _ = connection.ask("late", deadline: 30)
        _ = connection.ask("hasty", deadline: 10)
        _ = connection.send()
        _ = connection.ask("unsent", deadline: 10)
        let first = connection.expire(.uptimeNanoseconds(10))
        #expect(first.told == ["hasty: replyLost", "unsent: notSent(The time was over before it could be sent.)"])
        #expect(!first.closesConnection)
        let second = connection.expire(.uptimeNanoseconds(30))
        #expect(second.told == ["late: replyLost"])
        #expect(second.closesConnection)
        #expect(connection.ask("late", now: 99).told == ["late: notSent(The time was over before it could be sent.)"])
    }

    @Test("While bytes arrive, an overdue reply fails its caller and not the connection, until there is silence")
    func signsOfLife() {
        let connection = Bench.open()
        _ = connection.ask("large", deadline: 10)
        _ = connection.ask("small", deadline: 40)
        _ = connection.send()
        connection.receivedBytes(at: 8)
        let first = connection.expire(.uptimeNanoseconds(10))
        #expect(first.told == ["large: replyLost"])
        #expect(!first.closesConnection)
        connection.receivedBytes(at: 20)
        #expect(!connection.expire(.uptimeNanoseconds(33)).closesConnection)
        // The reply without a caller comes to its end, and then that of the next.
        #expect(connection.received("large").told == [])
        #expect(connection.received("1").told == ["small: 1"])

        _ = connection.ask("lost", deadline: 50)
        _ = connection.send()
        #expect(connection.expire(.uptimeNanoseconds(50)).closesConnection)
    }

    @Test("A READONLY reply lets later commands use a new connection, and those under way this one")
    func readOnly() {
        let connection = Bench.open()
        _ = connection.ask("a")
        _ = connection.ask("b")
        _ = connection.send()
        #expect(!connection.received(.error(ServerError("READONLY You can't write"))).closesConnection)
        _ = connection.ask("c")
        #expect(connection.send() == [])
        let step = connection.received("1")
        #expect(step.told == ["b: 1"])
        #expect(step.closesConnection)
        #expect(step.next == .connect(2))
    }

    @Test("A cancelled command's reply is dropped, and the connection lives")
    func cancellation() {
        let connection = Bench.open()
        let id = connection.ask("a").id
        _ = connection.ask("b")
        _ = connection.send()
        #expect(connection.cancel(id ?? 0).told == ["a: cancelled"])
        #expect(connection.received("1").told == [])
        #expect(connection.received("2").told == ["b: 2"])
    }

    @Test("Closing takes no more commands and waits for those it has taken")
    func closing() {
        let connection = Bench.open()
        _ = connection.ask("a")
        #expect(!connection.close().closesConnection)
        #expect(connection.ask("b").told == ["b: notSent(The client is closed.)"])
        #expect(connection.send() == ["a"])
        let step = connection.received("1")
        #expect(step.told == ["a: 1"])
        #expect(step.closesConnection && connection.isClosed)

        let idle = Bench()
        _ = idle.close()
        #expect(idle.isClosed)

        let connecting = Bench()
        _ = connecting.ask("a")
        #expect(connecting.close().told == ["a: notSent(The client is closed.)"])
        #expect(connecting.isClosed && !connecting.isCurrent(1))

        let losing = Bench.open()
        _ = losing.ask("a")
        _ = losing.send()
        _ = losing.close()
        #expect(losing.ended(.lost("Gone."), 1).told == ["a: replyLost"])
        #expect(losing.isClosed)
    }

    @Test("A full queue refuses")
    func full() {
        let connection = Bench()
        for number in 0..<4 { _ = connection.ask("\(number)") }
        #expect(connection.ask("x").told == ["x: queueFull"])
    }
}

/// A connection's state whose commands are named after their waiters.
private final class Bench {
    struct Reply {
        let id: Int?
        let told: [String]
        let next: NextStep
    }

    private var state: CommandConnectionState<String>

    init(maximumConnectFailures: Int = 3) {
        self.state = CommandConnectionState(
            limits: .init(commands: 4, bytes: 10_000), maximumConnectFailures: maximumConnectFailures,
            silenceTimeout: .nanoseconds(25))
    }

    /// One that is connected, and has been good for something.
    static func open() -> Bench {
        let bench = Bench()
        _ = bench.ask("first")
        _ = bench.opened(1)
        _ = bench.send()
        _ = bench.received("OK")
        return bench
    }

    func ask(_ name: String, deadline: UInt64 = 50, now: UInt64 = 0) -> Reply {
        let (id, step) = self.state.enqueue(
            CommandQueue.Entry([[RedisArgument(name)]], deadline: .uptimeNanoseconds(deadline), waiter: name),
            now: .uptimeNanoseconds(now))
        return Reply(id: id, told: step.told, next: step.next)
    }

    func receivedBytes(at time: UInt64) { self.state.receivedBytes(at: .uptimeNanoseconds(time)) }
    func send() -> [String] { self.state.send(upTo: .max).map { $0.words[0] } }
    func received(_ value: RESPValue) -> CommandConnectionStep<String> { self.state.received(value) }
    func opened(_ attempt: Int) -> CommandConnectionStep<String> { self.state.opened(attempt) }
    func ended(_ end: ConnectionEnd, _ attempt: Int) -> CommandConnectionStep<String> { self.state.ended(end, attempt) }
    func pauseEnded() -> CommandConnectionStep<String> { self.state.pauseEnded() }
    func expire(_ now: NIODeadline) -> CommandConnectionStep<String> { self.state.expire(now) }
    func cancel(_ id: Int) -> CommandConnectionStep<String> { self.state.cancel(id) }
    func close() -> CommandConnectionStep<String> { self.state.close() }
    func isCurrent(_ attempt: Int) -> Bool { self.state.isCurrent(attempt) }
    var isClosed: Bool { self.state.isClosed }
}

extension CommandConnectionStep<String> {
    fileprivate var told: [String] {
        self.outcomes.map { waiter, result in
            switch result {
            case .success(let replies): "\(waiter): \(replies.map { $0.string ?? "?" }.joined(separator: ","))"
            case .failure(.notSent(let sentence)): "\(waiter): notSent(\(sentence))"
            case .failure(.refused(let sentence)): "\(waiter): refused(\(sentence))"
            case .failure(.replyLost): "\(waiter): replyLost"
            case .failure(.protocolViolation): "\(waiter): protocolViolation"
            case .failure(.queueFull): "\(waiter): queueFull"
            case .failure(.cancelled): "\(waiter): cancelled"
            case .failure(.server(let error)): "\(waiter): \(error)"
            }
        }
    }
}

import NIOCore
import Testing

@testable import RESP3

@Suite("What a link decides")
struct LinkStateTests {
    @Test("It connects when the first command comes, and sends when it is connected")
    func connects() {
        let link = Bench()
        #expect(link.ask("a").next == .dial(1))
        #expect(link.ask("b").next == .nothing)
        #expect(link.send() == [])
        #expect(link.opened(1).next == .flush)
        #expect(link.send() == ["a", "b"])
        #expect(link.received("1").told == ["a: 1"])
        #expect(link.received("2").told == ["b: 2"])
    }

    @Test("A lost connection costs what was sent its reply, and nothing else")
    func loss() {
        let link = Bench.open()
        _ = link.ask("sent")
        #expect(link.send() == ["sent"])
        _ = link.ask("unsent")
        let step = link.ended(.lost("Gone."), 1)
        #expect(step.told == ["sent: replyLost"])
        #expect(step.next == .dial(2))
        #expect(link.opened(2).next == .flush)
        #expect(link.send() == ["unsent"])
    }

    @Test("A connection that was good for nothing counts as a failed attempt")
    func uselessConnection() {
        let link = Bench()
        _ = link.ask("a")
        _ = link.opened(1)
        #expect(link.ended(.lost("Gone."), 1).next == .pause(failures: 1))
        #expect(link.pauseEnded().next == .dial(2))
    }

    @Test("Commands outwait a few failed attempts; then they fail at once, until an attempt succeeds")
    func patience() {
        let link = Bench(patience: 2)
        _ = link.ask("a")
        #expect(link.ended(.lost("Down."), 1).told == [])
        #expect(link.pauseEnded().next == .dial(2))
        #expect(link.ended(.lost("Down."), 2).told == ["a: notSent(Down.)"])
        #expect(link.ask("b").told == ["b: notSent(Down.)"])
        // Nobody waits, so that nothing is tried in vain.
        #expect(link.pauseEnded().next == .nothing)
        #expect(link.ask("c").next == .dial(3))
        _ = link.opened(3)
        #expect(link.send() == ["c"])
        #expect(link.received("1").told == ["c: 1"])
        #expect(link.ended(.lost("Gone."), 3).next == .nothing)
        #expect(link.ask("d").next == .dial(4))
        #expect(link.ended(.lost("Down."), 4).told == [])
    }

    @Test("A refusal fails what waits at once")
    func refusal() {
        let link = Bench(patience: 9)
        _ = link.ask("a")
        #expect(link.ended(.refused("No."), 1).told == ["a: refused(No.)"])
        #expect(link.ask("b").told == ["b: refused(No.)"])
    }

    @Test("A reply that nobody asked for, or a push, ends the connection")
    func unexpectedReply() {
        for value in [RESPValue.integer(1), .push(["message"])] {
            let link = Bench.open()
            let step = link.received(value)
            #expect(step.closesConnection)
            _ = link.ask("a")
            #expect(link.isCurrent(2))
        }
        let link = Bench.open()
        _ = link.ask("a")
        _ = link.send()
        #expect(link.received(.push(["x"])).told == ["a: protocolViolation"])
    }

    @Test("Late events of an old connection mean nothing")
    func staleEvents() {
        let link = Bench.open()
        _ = link.ended(.lost("Gone."), 1)
        _ = link.ask("a")
        #expect(!link.isCurrent(1))
        #expect(link.ended(.lost("Gone."), 1).next == .nothing)
        #expect(link.opened(1).next == .nothing)
        #expect(link.isCurrent(2))
    }

    @Test("A head that is overdue ends the connection; others only stop waiting")
    func deadlines() {
        let link = Bench.open()
        _ = link.ask("patient", deadline: 30)
        _ = link.ask("hasty", deadline: 10)
        _ = link.send()
        _ = link.ask("unsent", deadline: 10)
        let first = link.expire(.uptimeNanoseconds(10))
        #expect(first.told == ["hasty: replyLost", "unsent: notSent(The time was over before it could be sent.)"])
        #expect(!first.closesConnection)
        let second = link.expire(.uptimeNanoseconds(30))
        #expect(second.told == ["patient: replyLost"])
        #expect(second.closesConnection)
        #expect(link.ask("late", now: 99).told == ["late: notSent(The time was over before it could be sent.)"])
    }

    @Test("A READONLY reply lets later commands use a new connection, and those under way this one")
    func readOnly() {
        let link = Bench.open()
        _ = link.ask("a")
        _ = link.ask("b")
        _ = link.send()
        #expect(!link.received(.error(ServerError("READONLY You can't write"))).closesConnection)
        _ = link.ask("c")
        #expect(link.send() == [])
        let step = link.received("1")
        #expect(step.told == ["b: 1"])
        #expect(step.closesConnection)
        #expect(step.next == .dial(2))
    }

    @Test("A cancelled command's reply is dropped, and the connection lives")
    func cancellation() {
        let link = Bench.open()
        let id = link.ask("a").id
        _ = link.ask("b")
        _ = link.send()
        #expect(link.cancel(id ?? 0).told == ["a: cancelled"])
        #expect(link.received("1").told == [])
        #expect(link.received("2").told == ["b: 2"])
    }

    @Test("Closing takes no more commands and waits for those it has taken")
    func closing() {
        let link = Bench.open()
        _ = link.ask("a")
        #expect(!link.close().closesConnection)
        #expect(link.ask("b").told == ["b: notSent(The client is closed.)"])
        #expect(link.send() == ["a"])
        let step = link.received("1")
        #expect(step.told == ["a: 1"])
        #expect(step.closesConnection && link.isClosed)

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
        let link = Bench()
        for number in 0..<4 { _ = link.ask("\(number)") }
        #expect(link.ask("x").told == ["x: queueFull"])
    }
}

/// A link's state whose commands are named after their waiters.
private final class Bench {
    struct Answer {
        let id: Int?
        let told: [String]
        let next: NextStep
    }

    private var state: LinkState<String>

    init(patience: Int = 3) {
        self.state = LinkState(limits: .init(commands: 4, bytes: 10_000), patience: patience)
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

    func ask(_ name: String, deadline: UInt64 = 50, now: UInt64 = 0) -> Answer {
        let (id, step) = self.state.enqueue(
            CommandQueue.Entry([[RedisArgument(name)]], deadline: .uptimeNanoseconds(deadline), waiter: name),
            now: .uptimeNanoseconds(now))
        return Answer(id: id, told: step.told, next: step.next)
    }

    func send() -> [String] { self.state.send(upTo: .max).map { $0.words[0] } }
    func received(_ value: RESPValue) -> LinkStep<String> { self.state.received(value) }
    func opened(_ attempt: Int) -> LinkStep<String> { self.state.opened(attempt) }
    func ended(_ end: ConnectionEnd, _ attempt: Int) -> LinkStep<String> { self.state.ended(end, attempt) }
    func pauseEnded() -> LinkStep<String> { self.state.pauseEnded() }
    func expire(_ now: NIODeadline) -> LinkStep<String> { self.state.expire(now) }
    func cancel(_ id: Int) -> LinkStep<String> { self.state.cancel(id) }
    func close() -> LinkStep<String> { self.state.close() }
    func isCurrent(_ attempt: Int) -> Bool { self.state.isCurrent(attempt) }
    var isClosed: Bool { self.state.isClosed }
}

extension LinkStep<String> {
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

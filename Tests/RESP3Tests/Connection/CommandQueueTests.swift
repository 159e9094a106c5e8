import NIOCore
import Testing

@testable import RESP3

@Suite("The queue of commands")
struct CommandQueueTests {
    private let queue = Bench()

    private func time(_ nanoseconds: UInt64) -> NIODeadline { .uptimeNanoseconds(nanoseconds) }

    @Test("replies in order, an entry only when all its replies are there")
    func order() {
        _ = self.queue.append("a")
        _ = self.queue.append("b", count: 2)
        #expect(self.queue.send(upTo: .max).map { $0.words[1] } == ["a", "b", "b"])
        #expect(self.queue.accept(.integer(1)).isComplete("a", [.integer(1)]))
        #expect(self.queue.accept(.integer(2)).isPartial)
        #expect(self.queue.accept(.integer(3)).isComplete("b", [.integer(2), .integer(3)]))
        #expect(self.queue.accept(.integer(4)).isUnexpected)
    }

    @Test("does not take what was not sent for sent")
    func unsent() {
        _ = self.queue.append("a")
        #expect(self.queue.accept("OK").isUnexpected)
        #expect(self.queue.failSent() == [])
        #expect(self.queue.failUnsent() == ["a"])
    }

    @Test("sends as much as there is room for, but always something")
    func chunks() {
        for name in ["a", "b", "c"] { _ = self.queue.append(name) }
        #expect(self.queue.send(upTo: 1).count == 1)
        #expect(self.queue.send(upTo: 22).count == 2)
        #expect(self.queue.send(upTo: 1).isEmpty)
    }

    @Test("takes a bounded number of commands and bytes, and frees their room")
    func bounds() {
        #expect(self.queue.append("a", count: 3) != nil)
        #expect(self.queue.append("b", count: 2) == nil)
        #expect(self.queue.append(String(repeating: "x", count: 200)) == nil)
        #expect(self.queue.append("c") != nil)
        #expect(self.queue.append("d") == nil)
        _ = self.queue.send(upTo: .max)
        for _ in 0..<3 { _ = self.queue.accept("OK") }
        #expect(self.queue.append("e", count: 3) != nil)
        #expect(self.queue.failSent() == ["c"])
        #expect(self.queue.failUnsent() == ["e"])
        #expect(self.queue.append("f", count: 4) != nil)
    }

    @Test("lets only so many leave that have no reply yet")
    func inFlight() {
        let queue = Bench(inFlight: 2)
        for name in ["a", "b", "c", "d"] { _ = queue.append(name) }
        #expect(queue.send(upTo: .max).map { $0.words[1] } == ["a", "b"])
        #expect(queue.send(upTo: .max).isEmpty)
        #expect(queue.accept("OK").isComplete("a", ["OK"]))
        #expect(queue.send(upTo: .max).map { $0.words[1] } == ["c"])
    }

    @Test("keeps the place of one who left after sending, and not of one who left before")
    func cancellation() throws {
        let a = try #require(self.queue.append("a"))
        let b = try #require(self.queue.append("b"))
        let c = try #require(self.queue.append("c"))
        #expect(self.queue.cancel(b) == "b")
        #expect(self.queue.cancel(b) == nil)
        #expect(self.queue.send(upTo: .max).count == 2)
        #expect(self.queue.cancel(a) == "a")
        #expect(self.queue.cancel(a) == nil)
        #expect(self.queue.accept("OK").isComplete(nil, ["OK"]))
        #expect(self.queue.accept("OK").isComplete("c", ["OK"]))
        #expect(self.queue.cancel(c) == nil)
        #expect(self.queue.cancel(99) == nil)
    }

    @Test("lets those leave whose time is over, and only those")
    func expiry() {
        _ = self.queue.append("a", deadline: 30)
        _ = self.queue.append("b", deadline: 10)
        _ = self.queue.send(upTo: .max)
        _ = self.queue.append("c", deadline: 20)
        _ = self.queue.append("d", deadline: 40)
        #expect(self.queue.nextDeadline == self.time(10))
        let (sent, unsent) = self.queue.expire(self.time(20))
        #expect(sent == ["b"] && unsent == ["c"])
        #expect(self.queue.nextDeadline == self.time(30))
    }

    @Test("is overdue when its head is, however early the deadlines behind it are")
    func overdue() {
        _ = self.queue.append("late", deadline: 30)
        _ = self.queue.append("hasty", deadline: 10)
        _ = self.queue.send(upTo: .max)
        #expect(!self.queue.isOverdue(self.time(20)))
        _ = self.queue.accept("OK")
        // Its turn has only just come.
        #expect(!self.queue.isOverdue(self.time(29)))
        #expect(self.queue.isOverdue(self.time(30)))
    }

    @Test("of calls that wait for replicas sends one WAIT for all that have come while it waited")
    func sharedWaits() {
        let queue = Bench(sharesWaits: true)
        func words(_ commands: [RedisCommand]) -> [String] { commands.map { $0.words.joined(separator: " ") } }
        _ = queue.appendWaiting("a", deadline: 10)
        #expect(words(queue.send(upTo: .max)) == ["SET a", "WAIT 1"])
        _ = queue.appendWaiting("b", deadline: 20)
        let c = queue.appendWaiting("c", deadline: 40)
        _ = queue.appendWaiting("d", replicas: 2)
        #expect(queue.send(upTo: .max).isEmpty)
        #expect(queue.accept("OK").isPartial)
        #expect(queue.accept(.integer(1)).isComplete("a", ["OK", .integer(1)]))

        #expect(words(queue.send(upTo: .max)) == ["SET b", "SET c", "WAIT 1"])
        #expect(queue.accept("b").isPartial)
        #expect(queue.accept("c").isPartial)
        // The connection is good as long as one of them can still get its reply.
        #expect(!queue.isOverdue(self.time(39)) && queue.isOverdue(self.time(40)))
        #expect(queue.cancel(c ?? 0) == "c")
        guard case .complete(let entries) = queue.accept(.integer(0)) else {
            Issue.record("The replies are all there")
            return
        }
        #expect(entries.map(\.waiter) == ["b", nil])
        #expect(entries.map(\.replies) == [["b", .integer(0)], ["c", .integer(0)]])

        #expect(words(queue.send(upTo: .max)) == ["SET d", "WAIT 2"])
        #expect(queue.failSent() == ["d"])
        #expect(queue.accept("OK").isUnexpected)
    }
}

/// A queue whose commands are named after their waiters.
private final class Bench {
    private var queue: CommandQueue<String>

    init(sharesWaits: Bool = false, inFlight: Int = .max) {
        self.queue = CommandQueue(
            limits: .init(commands: sharesWaits ? 8 : 4, bytes: 200, inFlight: inFlight), sharesWaits: sharesWaits)
    }

    func appendWaiting(_ waiter: String, replicas: Int = 1, deadline: UInt64 = 10) -> Int? {
        let commands: [RedisCommand] = [["SET", RedisArgument(waiter)], ["WAIT", RedisArgument(replicas)]]
        return self.queue.append(
            CommandQueue.Entry(commands, deadline: .uptimeNanoseconds(deadline), waiter: waiter))
    }

    func append(_ waiter: String, count: Int = 1, deadline: UInt64 = 10) -> Int? {
        let commands = Array(repeating: ["PING", RedisArgument(waiter)] as RedisCommand, count: count)
        return self.queue.append(
            CommandQueue.Entry(commands, deadline: .uptimeNanoseconds(deadline), waiter: waiter))
    }

    func send(upTo size: Int) -> [RedisCommand] { self.queue.send(upTo: size) }
    func accept(_ reply: RESPValue) -> CommandQueue<String>.Acceptance { self.queue.accept(reply) }
    func cancel(_ id: Int) -> String? { self.queue.cancel(id) }
    func failSent() -> [String] { self.queue.failSent() }
    func failUnsent() -> [String] { self.queue.failUnsent() }
    func expire(_ now: NIODeadline) -> (sent: [String], unsent: [String]) { self.queue.expire(now) }
    func isOverdue(_ now: NIODeadline) -> Bool { self.queue.isOverdue(now) }
    var nextDeadline: NIODeadline? { self.queue.nextDeadline }
}

extension CommandQueue<String>.Acceptance {
    fileprivate func isComplete(_ waiter: String?, _ replies: [RESPValue]) -> Bool {
        guard case .complete(let entries) = self, entries.count == 1 else { return false }
        return entries[0].waiter == waiter && entries[0].replies == replies
    }

    fileprivate var isPartial: Bool { if case .partial = self { true } else { false } }
    fileprivate var isUnexpected: Bool { if case .unexpected = self { true } else { false } }
}

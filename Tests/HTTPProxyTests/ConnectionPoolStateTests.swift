import HTTPTestSupport
import NIOCore
import TestSupport
import Testing

@testable import HTTPProxy

@Suite("The pool of connections")
struct ConnectionPoolStateTests {
    private final class Thing {}

    private typealias Pool = ConnectionPoolState<Thing, Thing>

    private static func at(_ seconds: Int64) -> NIODeadline { .uptimeNanoseconds(0) + .seconds(1_000 + seconds) }

    /// A pool with these idle connections, in the order of their last use.
    private static func pool(idle: [Thing]) -> Pool {
        var pool = Pool()
        for (second, connection) in idle.enumerated() {
            let none = pool.released(connection, now: Self.at(Int64(second)))
            #expect(none == nil)
        }
        return pool
    }

    @Test("gives the connection that was used last")
    func lastInFirstOut() {
        let (a, b) = (Thing(), Thing())
        var pool = Self.pool(idle: [a, b])
        let last = pool.takeIdle()
        #expect(last?.connection === b)
        let first = pool.takeIdle()
        #expect(first?.connection === a)
        let empty = pool.takeIdle()
        #expect(empty == nil)
    }

    @Test("serves those that wait in their order, with whatever comes first")
    func order() {
        let (first, second, connection) = (Thing(), Thing(), Thing())
        var pool = Pool()
        pool.wait(first, needsFresh: false, deadline: Self.at(5))
        pool.wait(second, needsFresh: false, deadline: Self.at(5))
        #expect(pool.missing == 2)
        pool.connectionBegan()
        #expect(pool.missing == 1)
        let servedFirst = pool.released(connection, now: Self.at(0))
        #expect(servedFirst === first)
        let servedSecond = pool.connected(Thing(), now: Self.at(0))
        #expect(servedSecond === second)
        #expect(pool.missing == 0)
        let idle = pool.released(connection, now: Self.at(1))
        #expect(idle == nil)
        #expect(pool.idle.count == 1)
    }

    @Test("gives a used connection to nobody who needs a fresh one")
    func fresh() {
        let (fresh, any, used) = (Thing(), Thing(), Thing())
        var pool = Pool()
        pool.wait(fresh, needsFresh: true, deadline: Self.at(5))
        pool.wait(any, needsFresh: false, deadline: Self.at(5))
        let servedAny = pool.released(used, now: Self.at(0))
        #expect(servedAny === any)
        let servedNobody = pool.released(used, now: Self.at(0))
        #expect(servedNobody == nil)
        pool.connectionBegan()
        let servedFresh = pool.connected(Thing(), now: Self.at(0))
        #expect(servedFresh === fresh)
    }

    @Test("fails one that waits for each connection that cannot be made, unless another is being made for it")
    func failures() {
        let (first, second) = (Thing(), Thing())
        var pool = Pool()
        pool.wait(first, needsFresh: false, deadline: Self.at(5))
        pool.wait(second, needsFresh: false, deadline: Self.at(5))
        for _ in 1...3 { pool.connectionBegan() }
        let notFailed = pool.connectingFailed()
        #expect(notFailed == nil)
        let failed = pool.connectingFailed()
        #expect(failed === first)
        pool.cancel(second)
        let cancelled = pool.connectingFailed()
        #expect(cancelled == nil)
    }

    @Test("lets go of what is idle, and of who waits, for too long")
    func expiry() {
        let (a, b, waiter) = (Thing(), Thing(), Thing())
        var pool = Self.pool(idle: [a, b])
        let young = pool.expireIdle(before: Self.at(0))
        #expect(young.isEmpty)
        let old = pool.expireIdle(before: Self.at(1))
        #expect(old.map(ObjectIdentifier.init) == [ObjectIdentifier(a)])
        pool.closed(b)
        let gone = pool.takeIdle()
        #expect(gone == nil)
        pool.wait(waiter, needsFresh: false, deadline: Self.at(5))
        let patient = pool.expireWaiting(now: Self.at(4))
        #expect(patient.isEmpty)
        let late = pool.expireWaiting(now: Self.at(5))
        #expect(late.count == 1)
        #expect(pool.missing == 0)
    }
}

@Suite("The budget of connections")
struct ConnectionBudgetTests {
    @Test("is what all pools have together, and gives a slot to the pool that waits")
    func room() {
        let (budget, told) = (ConnectionBudget(limit: 2), Ledger())
        #expect(!budget.isTight)
        #expect(budget.take())
        #expect(budget.isTight)
        #expect(budget.take())
        #expect(!budget.take())
        budget.takeLater { told.add() }
        #expect(budget.isShort)
        #expect(told.count == 0)
        budget.giveBack()
        #expect(told.count == 1)
        #expect(!budget.isShort)
        // The slot is taken with it.
        #expect(!budget.take())
        budget.giveBack()
        budget.takeLater { told.add() }
        #expect(told.count == 2)
        #expect(!budget.take())
    }
}

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
            let result14 = pool.released(connection, now: Self.at(Int64(second)))
            #expect(result14 == nil)
        }
        return pool
    }

    @Test("gives the connection that was used last")
    func lastInFirstOut() {
        let (a, b) = (Thing(), Thing())
        var pool = Self.pool(idle: [a, b])
        let result15 = pool.takeIdle()
        #expect(result15?.connection === b)
        let result16 = pool.takeIdle()
        #expect(result16?.connection === a)
        let result17 = pool.takeIdle()
        #expect(result17 == nil)
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
        let result18 = pool.released(connection, now: Self.at(0))
        #expect(result18 === first)
        let result19 = pool.connected(Thing(), now: Self.at(0))
        #expect(result19 === second)
        #expect(pool.missing == 0)
        let result20 = pool.released(connection, now: Self.at(1))
        #expect(result20 == nil)
        #expect(pool.idle.count == 1)
    }

    @Test("gives a used connection to nobody who needs a fresh one")
    func fresh() {
        let (fresh, any, used) = (Thing(), Thing(), Thing())
        var pool = Pool()
        pool.wait(fresh, needsFresh: true, deadline: Self.at(5))
        pool.wait(any, needsFresh: false, deadline: Self.at(5))
        let result21 = pool.released(used, now: Self.at(0))
        #expect(result21 === any)
        let result22 = pool.released(used, now: Self.at(0))
        #expect(result22 == nil)
        pool.connectionBegan()
        let result23 = pool.connected(Thing(), now: Self.at(0))
        #expect(result23 === fresh)
    }

    @Test("fails one that waits for each connection that cannot be made, unless another is being made for it")
    func failures() {
        let (first, second) = (Thing(), Thing())
        var pool = Pool()
        pool.wait(first, needsFresh: false, deadline: Self.at(5))
        pool.wait(second, needsFresh: false, deadline: Self.at(5))
        for _ in 1...3 { pool.connectionBegan() }
        let result24 = pool.connectingFailed()
        #expect(result24 == nil)
        let result25 = pool.connectingFailed()
        #expect(result25 === first)
        pool.cancel(second)
        let result26 = pool.connectingFailed()
        #expect(result26 == nil)
    }

    @Test("lets go of what is idle, and of who waits, for too long")
    func expiry() {
        let (a, b, waiter) = (Thing(), Thing(), Thing())
        var pool = Self.pool(idle: [a, b])
        let result27 = pool.expireIdle(before: Self.at(0))
        #expect(result27.isEmpty)
        let result28 = pool.expireIdle(before: Self.at(1))
        #expect(result28.map(ObjectIdentifier.init) == [ObjectIdentifier(a)])
        pool.closed(b)
        let result29 = pool.takeIdle()
        #expect(result29 == nil)
        pool.wait(waiter, needsFresh: false, deadline: Self.at(5))
        let result30 = pool.expireWaiting(now: Self.at(4))
        #expect(result30.isEmpty)
        let result31 = pool.expireWaiting(now: Self.at(5))
        #expect(result31.count == 1)
        #expect(pool.missing == 0)
    }
}

@Suite("The budget of connections")
struct ConnectionBudgetTests {
    @Test("is what all pools have together, and tells a starving one of room")
    func room() {
        let (budget, told) = (ConnectionBudget(limit: 2), Ledger())
        #expect(!budget.isTight)
        #expect(budget.take())
        #expect(budget.isTight)
        #expect(budget.take())
        #expect(!budget.take())
        budget.onRoom { told.add() }
        #expect(budget.hasStarving)
        #expect(told.count == 0)
        budget.giveBack()
        #expect(told.count == 1)
        #expect(!budget.hasStarving)
        budget.onRoom { told.add() }
        #expect(told.count == 2)
        #expect(budget.take())
        #expect(!budget.take())
    }
}

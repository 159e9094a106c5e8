import NIOCore
import Testing

@testable import IdemptxProxy

@Suite("The patience with a client")
struct ClientPatienceTests {
    private static func at(_ seconds: Int64) -> NIODeadline { .uptimeNanoseconds(0) + .seconds(1_000 + seconds) }

    private static func fresh() -> ClientPatience {
        var patience = ClientPatience(idleTimeout: .seconds(10), minimumRate: 100)
        patience.connected(now: Self.at(0))
        return patience
    }

    @Test("begins with the connection, ends with a request, and begins anew after its answer")
    func idle() {
        var patience = Self.fresh()
        #expect(patience.deadline == Self.at(10))
        patience.readingBegan(now: Self.at(1))
        #expect(patience.deadline == Self.at(10))
        patience.requestBegan(isBodyHeldBack: false)
        patience.requestEnded(now: Self.at(2))
        #expect(patience.deadline == nil)
        patience.answerEnded(now: Self.at(50))
        #expect(patience.deadline == Self.at(60))
    }

    @Test("with a body grows by what comes, and counts only while it is waited for")
    func body() {
        var patience = Self.fresh()
        patience.readingBegan(now: Self.at(0))
        patience.requestBegan(isBodyHeldBack: false)
        #expect(patience.deadline == Self.at(10))
        patience.bodyCame(size: 500, now: Self.at(4))
        #expect(patience.deadline == Self.at(15))
        patience.readingEnded(now: Self.at(4))
        // Nobody reads: the upstream takes its time.
        #expect(patience.deadline == nil)
        patience.readingBegan(now: Self.at(100))
        // Four of the fifteen seconds have been used up.
        #expect(patience.deadline == Self.at(111))
    }

    @Test("with a body that waits for leave begins with the leave")
    func heldBack() {
        var patience = Self.fresh()
        patience.readingBegan(now: Self.at(0))
        patience.requestBegan(isBodyHeldBack: true)
        #expect(patience.deadline == nil)
        patience.bodyWasCalledFor(now: Self.at(30))
        #expect(patience.deadline == Self.at(40))
    }

    @Test("with a body has no bound that a large one could cross", arguments: [10_000_000_000, Int.max])
    func largeBody(size: Int) {
        var patience = Self.fresh()
        patience.readingBegan(now: Self.at(0))
        patience.requestBegan(isBodyHeldBack: false)
        patience.bodyCame(size: size, now: Self.at(1))
        let earned = Int64(size) / 100
        #expect(patience.deadline == (earned < 1_000_000_000 ? Self.at(10 + earned) : .distantFuture))
        patience.bodyCame(size: size, now: Self.at(2))
        patience.readingEnded(now: Self.at(3))
        patience.readingBegan(now: Self.at(4))
        #expect(patience.deadline.map { $0 > Self.at(10 + 100_000_000) } == true)
    }

    @Test("with a client that takes nothing begins with its last taking")
    func unwritable() {
        var patience = Self.fresh()
        patience.requestBegan(isBodyHeldBack: false)
        patience.requestEnded(now: Self.at(1))
        patience.writabilityChanged(to: false, now: Self.at(2))
        #expect(patience.deadline == Self.at(12))
        patience.writabilityChanged(to: true, now: Self.at(3))
        #expect(patience.deadline == nil)
    }

    @Test("with a client that takes an answer begins anew with every piece")
    func taking() {
        var patience = Self.fresh()
        patience.requestBegan(isBodyHeldBack: false)
        patience.requestEnded(now: Self.at(1))
        patience.pieceWritten(now: Self.at(2))
        patience.pieceWritten(now: Self.at(3))
        patience.writabilityChanged(to: false, now: Self.at(3))
        #expect(patience.deadline == Self.at(12))
        patience.pieceTaken(now: Self.at(9))
        #expect(patience.deadline == Self.at(19))
        patience.pieceWritten(now: Self.at(10))
        #expect(patience.deadline == Self.at(19))
        patience.pieceTaken(now: Self.at(18))
        #expect(patience.deadline == Self.at(28))
        patience.writabilityChanged(to: true, now: Self.at(20))
        #expect(patience.deadline == Self.at(30))
        // Only now the client has all of it, and may think of a next request.
        patience.pieceTaken(now: Self.at(25))
        patience.answerEnded(now: Self.at(25))
        #expect(patience.deadline == Self.at(35))
    }

    @Test("with a client that takes nothing is not prolonged by what else is written")
    func notTaking() {
        var patience = Self.fresh()
        patience.requestBegan(isBodyHeldBack: false)
        patience.requestEnded(now: Self.at(1))
        for second: Int64 in 2...9 { patience.pieceWritten(now: Self.at(second)) }
        patience.writabilityChanged(to: false, now: Self.at(9))
        #expect(patience.deadline == Self.at(12))
    }
}

@Suite("The patience with the upstream")
struct UpstreamPatienceTests {
    private static func at(_ seconds: Int64) -> NIODeadline { .uptimeNanoseconds(0) + .seconds(1_000 + seconds) }

    @Test("begins with the end of the request, and anew with each piece of the answer, as long as somebody wants it")
    func answer() {
        var patience = UpstreamPatience(timeout: .seconds(10))
        patience.readingBegan(now: Self.at(0))
        #expect(patience.deadline == nil)
        patience.requestBegan(now: Self.at(1), isWritable: true)
        #expect(patience.deadline == nil)
        patience.requestEnded(now: Self.at(5))
        #expect(patience.deadline == Self.at(15))
        patience.answerCame(now: Self.at(7))
        #expect(patience.deadline == Self.at(17))
        patience.readingEnded()
        #expect(patience.deadline == nil)
        patience.readingBegan(now: Self.at(50))
        #expect(patience.deadline == Self.at(60))
        patience.answerEnded()
        #expect(patience.deadline == nil)
    }

    @Test("with an upstream that takes nothing begins with its last taking")
    func unwritable() {
        var patience = UpstreamPatience(timeout: .seconds(10))
        patience.requestBegan(now: Self.at(1), isWritable: true)
        patience.writabilityChanged(to: false, now: Self.at(2))
        #expect(patience.deadline == Self.at(12))
        patience.writabilityChanged(to: true, now: Self.at(3))
        #expect(patience.deadline == nil)
    }
}

@Suite("The date of an answer")
struct HTTPDateTests {
    @Test(
        "is that of its moment",
        arguments: [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"), (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"), (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
        ])
    func text(_ seconds: Int, _ text: String) {
        #expect(HTTPDate(secondsSince1970: seconds).text == text)
    }
}

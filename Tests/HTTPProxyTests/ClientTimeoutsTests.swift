import NIOCore
import Testing

@testable import HTTPProxy

@Suite("The time that a client has")
struct ClientTimeoutsTests {
    private static func at(_ seconds: Int64) -> NIODeadline { .uptimeNanoseconds(0) + .seconds(1_000 + seconds) }

    private static func fresh() -> ClientTimeouts {
        let limits = ServerLimits {
            $0.idleTimeout = .seconds(10)
            $0.gapTimeout = .seconds(5)
            $0.rateWindow = .seconds(20)
            $0.maxBodyTime = .seconds(100)
        }
        var timeouts = ClientTimeouts(Timeouts(limits), minimumRate: 100)
        let isOver1 = timeouts.isOver(now: Self.at(0), isReading: true, written: 0, untaken: 0)
        #expect(!isOver1)
        return timeouts
    }

    @Test("for a head is short, whatever comes of it")
    func head() {
        var timeouts = Self.fresh()
        timeouts.received(size: 10_000)
        let isOver2 = timeouts.isOver(now: Self.at(9), isReading: true, written: 0, untaken: 0)
        #expect(!isOver2)
        timeouts.received(size: 10_000)
        let isOver3 = timeouts.isOver(now: Self.at(10), isReading: true, written: 0, untaken: 0)
        #expect(isOver3)
    }

    @Test("for a body has no gap that is longer than permitted, whatever came before")
    func gap() {
        var timeouts = Self.fresh()
        timeouts.enter(.body)
        timeouts.received(size: 1_000_000)
        let isOver4 = timeouts.isOver(now: Self.at(1), isReading: true, written: 0, untaken: 0)
        #expect(!isOver4)
        let isOver5 = timeouts.isOver(now: Self.at(5), isReading: true, written: 0, untaken: 0)
        #expect(!isOver5)
        let isOver6 = timeouts.isOver(now: Self.at(6), isReading: true, written: 0, untaken: 0)
        #expect(isOver6)
    }

    @Test("for a body needs a rate over each window, and earns nothing by what came before it")
    func rate() {
        var timeouts = Self.fresh()
        timeouts.enter(.body)
        timeouts.received(size: 1_000_000)
        var second: Int64 = 1
        while second < 60 {
            if timeouts.isOver(now: Self.at(second), isReading: true, written: 0, untaken: 0) { break }
            timeouts.received(size: 1)
            second += 1
        }
        #expect((20...45).contains(second))
    }

    @Test("for a body does not pass while nobody reads it")
    func held() {
        var timeouts = Self.fresh()
        timeouts.enter(.body)
        for second: Int64 in 1...90 {
            let isOver7 = timeouts.isOver(now: Self.at(second), isReading: false, written: 0, untaken: 0)
            #expect(!isOver7)
        }
        for second: Int64 in 91...94 {
            let isOver8 = timeouts.isOver(now: Self.at(second), isReading: true, written: 0, untaken: 0)
            #expect(!isOver8)
        }
        let isOver9 = timeouts.isOver(now: Self.at(95), isReading: true, written: 0, untaken: 0)
        #expect(isOver9)
    }

    @Test("for a body is bounded, however fast it comes")
    func bound() {
        var timeouts = Self.fresh()
        timeouts.enter(.body)
        var second: Int64 = 1
        while second < 200 {
            timeouts.received(size: 1_000_000)
            if timeouts.isOver(now: Self.at(second), isReading: true, written: 0, untaken: 0) { break }
            second += 1
        }
        #expect((100...102).contains(second))
    }

    @Test("for taking a response begins anew with whatever it takes")
    func taking() {
        var timeouts = Self.fresh()
        timeouts.enter(.responding)
        let isOver10 = timeouts.isOver(now: Self.at(1), isReading: false, written: 100, untaken: 100)
        #expect(!isOver10)
        let isOver11 = timeouts.isOver(now: Self.at(5), isReading: false, written: 50, untaken: 150)
        #expect(!isOver11)
        // It took a hundred, and another hundred came.
        let isOver12 = timeouts.isOver(now: Self.at(6), isReading: false, written: 100, untaken: 150)
        #expect(!isOver12)
        let isOver13 = timeouts.isOver(now: Self.at(10), isReading: false, written: 0, untaken: 150)
        #expect(!isOver13)
        let isOver14 = timeouts.isOver(now: Self.at(11), isReading: false, written: 0, untaken: 150)
        #expect(isOver14)
    }
}

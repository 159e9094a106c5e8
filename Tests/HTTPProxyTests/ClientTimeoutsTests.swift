import NIOCore
import Testing

@testable import HTTPProxy

@Suite("The time that a client has")
struct ClientTimeoutsTests {
    /// A client that is waited for from the second 0 on.
    private final class Client {
        var timeouts: ClientTimeouts

        init() {
            let limits = ServerLimits {
                $0.idleTimeout = .seconds(10)
                $0.gapTimeout = .seconds(5)
                $0.rateWindow = .seconds(20)
                $0.maxBodyTime = .seconds(100)
            }
            self.timeouts = ClientTimeouts(Timeouts(limits), minimumRate: 100)
            _ = self.isOver(at: 0, isReading: true, written: 0, untaken: 0)
        }

        func isOver(at second: Int64, isReading: Bool, written: Int, untaken: Int) -> Bool {
            let now = NIODeadline.uptimeNanoseconds(0) + .seconds(1_000 + second)
            return self.timeouts.isOver(now: now, isReading: isReading, written: written, untaken: untaken)
        }
    }

    @Test("for a head is short, whatever comes of it")
    func head() {
        let client = Client()
        client.timeouts.received(size: 10_000)
        #expect(!client.isOver(at: 9, isReading: true, written: 0, untaken: 0))
        client.timeouts.received(size: 10_000)
        #expect(client.isOver(at: 10, isReading: true, written: 0, untaken: 0))
    }

    @Test("for a body has no gap that is longer than permitted, whatever came before")
    func gap() {
        let client = Client()
        client.timeouts.enter(.body)
        client.timeouts.received(size: 1_000_000)
        #expect(!client.isOver(at: 1, isReading: true, written: 0, untaken: 0))
        #expect(!client.isOver(at: 5, isReading: true, written: 0, untaken: 0))
        #expect(client.isOver(at: 6, isReading: true, written: 0, untaken: 0))
    }

    @Test("for a body needs a rate over each window, and earns nothing by what came before it")
    func rate() {
        let client = Client()
        client.timeouts.enter(.body)
        client.timeouts.received(size: 1_000_000)
        var second: Int64 = 1
        while second < 60 {
            if client.isOver(at: second, isReading: true, written: 0, untaken: 0) { break }
            client.timeouts.received(size: 1)
            second += 1
        }
        #expect((20...45).contains(second))
    }

    @Test("for a body does not pass while nobody reads it")
    func held() {
        let client = Client()
        client.timeouts.enter(.body)
        for second: Int64 in 1...90 {
            #expect(!client.isOver(at: second, isReading: false, written: 0, untaken: 0))
        }
        for second: Int64 in 91...94 {
            #expect(!client.isOver(at: second, isReading: true, written: 0, untaken: 0))
        }
        #expect(client.isOver(at: 95, isReading: true, written: 0, untaken: 0))
    }

    @Test("for a body is bounded, however fast it comes")
    func bound() {
        let client = Client()
        client.timeouts.enter(.body)
        var second: Int64 = 1
        while second < 200 {
            client.timeouts.received(size: 1_000_000)
            if client.isOver(at: second, isReading: true, written: 0, untaken: 0) { break }
            second += 1
        }
        #expect((100...102).contains(second))
    }

    @Test("for taking a response begins anew with whatever it takes")
    func taking() {
        let client = Client()
        client.timeouts.enter(.responding)
        #expect(!client.isOver(at: 1, isReading: false, written: 100, untaken: 100))
        #expect(!client.isOver(at: 5, isReading: false, written: 50, untaken: 150))
        // It took a hundred, and another hundred came.
        #expect(!client.isOver(at: 6, isReading: false, written: 100, untaken: 150))
        #expect(!client.isOver(at: 10, isReading: false, written: 0, untaken: 150))
        #expect(client.isOver(at: 11, isReading: false, written: 0, untaken: 150))
    }

    @Test("for the next request begins when it has taken the response before")
    func takingAndIdling() {
        let client = Client()
        client.timeouts.enter(.idle)
        #expect(!client.isOver(at: 1, isReading: true, written: 400, untaken: 400))
        for second: Int64 in 2...30 {
            #expect(!client.isOver(at: second, isReading: true, written: 0, untaken: 400 - Int(second)))
        }
        #expect(!client.isOver(at: 31, isReading: true, written: 0, untaken: 0))
        #expect(!client.isOver(at: 39, isReading: true, written: 0, untaken: 0))
        #expect(client.isOver(at: 41, isReading: true, written: 0, untaken: 0))
    }
}

import NIOCore
import Testing

@testable import RESP3

@Suite("The pause before another try")
struct BackoffTests {
    @Test("is a random part of a ceiling that doubles up to a maximum")
    func ceiling() {
        var backoff = Backoff(base: .milliseconds(10), maximum: .milliseconds(100), jitter: { 1 })
        #expect((1...6).map { backoff.pause(after: $0) } == [10, 20, 40, 80, 100, 100].map { .milliseconds($0) })
        #expect(backoff.pause(after: .max) == .milliseconds(100))
        #expect(backoff.pause(after: 0) == .milliseconds(10))
        backoff.jitter = { 0 }
        #expect(backoff.pause(after: 3) == .zero)
    }

    @Test("comes a bounded number of times, and not beyond the deadline")
    func repetition() async throws {
        let backoff = Backoff(jitter: { 1 }, sleep: { _ in })
        var repetition = Repetition(backoff, deadline: .now() + .hours(1))
        var count = 0
        while try await repetition.next(pausing: false) { count += 1 }
        #expect(count == 16)

        var late = Repetition(backoff, deadline: .now())
        #expect(try await late.next(pausing: false) == false)
        let slow = Backoff(base: .seconds(100), maximum: .seconds(100), jitter: { 1 })
        var soon = Repetition(slow, deadline: .now() + .seconds(50))
        #expect(try await soon.next(pausing: true) == false)
    }
}

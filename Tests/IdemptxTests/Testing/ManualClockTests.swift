import IdemptxTesting
import TestSupport
import Testing

@Suite("The manual clock")
struct ManualClockTests {
    private let clock = ManualClock()

    @Test("stands still until it is moved, forwards or back")
    func moves() {
        #expect(self.clock.now.offset == .zero)
        self.clock.advance(by: .seconds(5))
        self.clock.advance(by: .seconds(-2))
        #expect(self.clock.now.offset == .seconds(3))
    }

    @Test("wakes those whose time has come, and no others")
    func wakes() async throws {
        let (early, late) = (self.sleep(.seconds(1)), self.sleep(.seconds(2)))
        await self.clock.waitForSleepers(2)
        self.clock.advance(by: .seconds(1))
        try await early.value
        #expect(self.clock.sleeperCount == 1)
        self.clock.advance(by: .seconds(1))
        try await late.value
    }

    @Test("does not let a sleep until a past moment wait")
    func over() async throws {
        let start = self.clock.now
        self.clock.advance(by: .seconds(5))
        try await self.clock.sleep(until: start.advanced(by: .seconds(5)))
    }

    @Test("wakes a cancelled sleeper with an error, before its sleep or during it")
    func cancels() async throws {
        let during = self.sleep(.seconds(1))
        await self.clock.waitForSleepers()
        during.cancel()
        await #expect(throws: CancellationError.self) { try await during.value }

        let gate = Gate()
        let before = Task {
            await gate.pass()
            try await self.clock.sleep(for: .seconds(1))
        }
        before.cancel()
        gate.open()
        await #expect(throws: CancellationError.self) { try await before.value }
        #expect(self.clock.sleeperCount == 0)
    }

    private func sleep(_ duration: Duration) -> Task<Void, any Error> {
        Task { try await self.clock.sleep(for: duration) }
    }
}

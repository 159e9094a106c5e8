import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import RESP3

@Suite("An operation that runs once for all")
struct CoalescedTests {
    private let subject = Coalesced<Int>(on: MultiThreadedEventLoopGroup.singleton.next())

    @Test("gives all who ask meanwhile the same result, and those who ask later a new one")
    func sharing() async throws {
        let (gate, opener) = AsyncStream.makeStream(of: Void.self)
        let runs = Atomic(0)
        let operation: @Sendable () async throws -> Int = {
            for await _ in gate { break }
            return runs.wrappingAdd(1, ordering: .relaxed).newValue
        }
        let first = self.subject.start(operation)
        let others = (0..<10).map { _ in self.subject.start(operation) }
        opener.yield()
        #expect(try await first.get() == 1)
        for other in others { #expect(try await other.get() == 1) }
        opener.yield()
        #expect(try await self.subject.value(deadline: .now() + .seconds(20), operation) == 2)
    }

    @Test("lets those leave whose time is over, or who are cancelled, without an end to the operation")
    func leaving() async throws {
        let (gate, opener) = AsyncStream.makeStream(of: Void.self)
        let operation: @Sendable () async throws -> Int = {
            for await _ in gate { break }
            return 7
        }
        let running = self.subject.start(operation)
        await #expect {
            try await self.subject.value(deadline: .now() + .milliseconds(5), operation)
        } throws: { error in
            guard case RedisError.notSent = error else { return false }
            return true
        }
        let task = Task { try await self.subject.value(deadline: .now() + .seconds(20), operation) }
        task.cancel()
        await #expect(throws: RedisError.cancelled) { try await task.value }
        opener.yield()
        #expect(try await running.get() == 7)
    }

    @Test("passes its error on")
    func failure() async throws {
        await #expect(throws: RedisError.queueFull) {
            try await self.subject.value(deadline: .now() + .seconds(20)) { throw RedisError.queueFull }
        }
    }
}

import Synchronization

/// The life of one simulated process: what its tasks wait for, and the time that its clock shows.
final class ProcessLife: Sendable {
    private struct State {
        var isOver = false
        var lastID = 0
        var ends: [Int: @Sendable () -> Void] = [:]
        var hiddenTime = 0
    }

    /// The owner of its jobs.
    let id: Int
    private let state = Mutex(State())

    init(id: Int) {
        self.id = id
    }

    /// The present moment on the clock of the process.
    var now: Moment { Scheduler.shared.now - self.state.withLock { $0.hiddenTime } }

    /// Takes some time off the clock, as if it had stood still.
    func hide(milliseconds: Int) {
        self.state.withLock { $0.hiddenTime += milliseconds }
    }

    /// Waits for something from outside of the process.
    ///
    /// - Throws: `CancellationError` if the task is cancelled, or the process is over.
    func wait<Value>(for resumption: Resumption<Value>, ignoringCancellation: Bool = false) async throws -> Value {
        let id = self.state.withLock { state -> Int? in
            guard !state.isOver else { return nil }
            state.lastID += 1
            state.ends[state.lastID] = { resumption.resume(.failure(CancellationError())) }
            return state.lastID
        }
        guard let id else { throw CancellationError() }
        defer { self.state.withLock { $0.ends[id] = nil } }
        return try await resumption.value(ignoringCancellation: ignoringCancellation)
    }

    var isOver: Bool { self.state.withLock { $0.isOver } }

    func sleep(milliseconds: Int, ignoringCancellation: Bool = false) async throws {
        let resumption = Resumption<Void>(of: self.id)
        Scheduler.shared.schedule(at: Scheduler.shared.now + milliseconds) { resumption.resume(.success(())) }
        try await self.wait(for: resumption, ignoringCancellation: ignoringCancellation)
    }

    /// Ends all waits, now and from now on.
    func end() {
        let ends = self.state.withLock { state in
            state.isOver = true
            return state.ends.sorted { $0.key < $1.key }.map(\.value)
        }
        for end in ends { end() }
    }
}

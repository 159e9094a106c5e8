import Foundation
import Synchronization

/// What the loop is told by other threads.
enum LoopEvent: Sendable {
    case submit(Submission)
    /// The caller waits no more.
    case cancel(Ticket)
    /// The transaction is not going to be committed.
    case release(ConnectionLease)
    case connected(Result<OpenedConnection, PostgresError>, isListener: Bool)
    case listen(Listener)
    case unlisten(Listener.ID)
    /// Finish what is under way.
    case close(CheckedContinuation<Void, Never>)
    /// Nobody has the client any more.
    case abandon
}

/// Hands events to the loop, and wakes it.
final class Inbox: Sendable {
    private struct State {
        var events: [LoopEvent] = []
        var isClosed = false
    }

    private let state = Mutex(State())
    /// The end of the pipe that the loop waits for.
    let readEnd: Int32
    private let writeEnd: Int32

    init() throws(PostgresError) {
        var ends: [Int32] = [-1, -1]
        guard unsafe pipe(&ends) == 0 else { throw .unavailable("There is no file descriptor left for a pipe.") }
        for end in ends {
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        }
        (self.readEnd, self.writeEnd) = (ends[0], ends[1])
    }

    deinit {
        _ = Foundation.close(self.readEnd)
        _ = Foundation.close(self.writeEnd)
    }

    /// Hands over an event, unless the loop has ended.
    ///
    /// - Returns: Whether the loop will see it.
    func post(_ event: LoopEvent) -> Bool {
        let (isAccepted, isFirst) = self.state.withLock { state in
            if state.isClosed { return (false, false) }
            state.events.append(event)
            return (true, state.events.count == 1)
        }
        if isFirst { self.wake() }
        return isAccepted
    }

    /// All events since the last time.
    func take() -> [LoopEvent] {
        var bytes = [UInt8](repeating: 0, count: 64)
        while unsafe read(self.readEnd, &bytes, bytes.count) == bytes.count {}
        return self.state.withLock { state in
            defer { state.events = [] }
            return state.events
        }
    }

    /// Accepts no more events.
    ///
    /// - Returns: Those that nobody has taken.
    func close() -> [LoopEvent] {
        self.state.withLock { state in
            state.isClosed = true
            defer { state.events = [] }
            return state.events
        }
    }

    private func wake() {
        var byte: UInt8 = 0
        // A full pipe wakes the loop too.
        _ = unsafe write(self.writeEnd, &byte, 1)
    }
}

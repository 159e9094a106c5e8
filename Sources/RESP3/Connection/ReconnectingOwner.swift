import NIOCore

/// What the owner of a connection has to do next about it.
enum NextStep: Hashable {
    case nothing
    /// Write what is unsent, at the end of this turn of the event loop.
    case flush
    /// Begin the attempt of this number.
    case connect(Int)
    /// Wait before the next attempt, after so many failures in a row.
    case pause(failures: Int)
}

/// An owner that connects when there is need, and again after a loss.
protocol ReconnectingOwner: ConnectionOwner {
    nonisolated var eventLoop: any EventLoop { get }
    var factory: ConnectionFactory { get }
    var backoff: Backoff { get }
    var isFlushPlanned: Bool { get set }

    /// Writes what is unsent.
    func flush()
    /// The time to wait before another attempt is over.
    func pauseEnded()
}

extension ReconnectingOwner {
    func take(_ step: NextStep) {
        switch step {
        case .nothing: break
        case .flush: self.planFlush()
        case .connect(let attempt): self.connect(attempt)
        case .pause(let failures): self.pause(failures)
        }
    }

    private func planFlush() {
        guard !self.isFlushPlanned else { return }
        self.isFlushPlanned = true
        self.eventLoop.execute { self.assumeIsolated { $0.flush() } }
    }

    private func connect(_ attempt: Int) {
        // The connection serves many callers, so that it belongs to the task of none of them.
        Task { await self.factory.connect(attempt, for: self, on: self.eventLoop) }
    }

    private func pause(_ failures: Int) {
        // As above.
        Task {
            // Nobody cancels this task; a sleep that fails is merely short.
            try? await self.backoff.sleep(self.backoff.pause(after: failures))
            self.pauseEnded()
        }
    }
}

import Logging
import NIOCore

/// What the owner of a connection has to do next about it.
enum NextStep: Hashable {
    case nothing
    /// Write the unsent commands at the end of this turn of the event loop.
    case flush
    /// Begin the attempt of this number.
    case connect(Int)
    /// Wait before the next attempt, after so many failures in a row.
    case pause(failures: Int)
}

/// An owner that connects on first use, and again after a loss.
protocol ReconnectingOwner: ConnectionOwner {
    nonisolated var eventLoop: any EventLoop { get }
    var factory: ConnectionFactory { get }
    var backoff: Backoff { get }
    var logger: Logger { get }
    var isFlushPlanned: Bool { get set }
    var channel: (any Channel)? { get set }
    var address: NodeAddress? { get set }
    /// Where the server was said to be while an attempt to connect was under way.
    var announced: NodeAddress? { get set }

    var isConnecting: Bool { get }
    /// Whether an event of this attempt still matters.
    func isCurrent(_ attempt: Int) -> Bool
    /// Has what comes later use a new connection.
    func retire()
    /// Writes the unsent commands.
    func flush()
    /// The time to wait before another attempt is over.
    func pauseEnded()
}

extension ReconnectingOwner {
    /// Has what comes later use a new connection, unless this one is to `address`, or comes to be.
    func retire(unlessAt address: NodeAddress) {
        if self.isConnecting { self.announced = address }
        if self.channel != nil, self.address != address { self.retire() }
    }

    /// Takes a channel into use, unless its attempt is over, or the server has been replaced by another.
    ///
    /// - Returns: Whether it is in use.
    func adopt(_ channel: any Channel, to address: NodeAddress, attempt: Int) -> Bool {
        guard self.isCurrent(attempt) else {
            channel.close(promise: nil)
            return false
        }
        if let announced = self.announced, announced != address {
            channel.close(promise: nil)
            self.ended(.lost("The server has been replaced by another."), attempt: attempt)
            return false
        }
        self.announced = nil
        self.channel = channel
        self.address = address
        return true
    }

    func becameWritable(attempt: Int) {
        if self.isCurrent(attempt) { self.take(.flush) }
    }

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
            // This task is never cancelled; a failed sleep is only too short.
            try? await self.backoff.sleep(self.backoff.pause(after: failures))
            self.pauseEnded()
        }
    }
}

import NIOCore

/// Has something to flush.
protocol Flushing: AnyObject {
    func flush()
}

/// Puts flushes off to the end of the event loop's tick: what one tick writes to a connection leaves in one system call, and
/// peers that sleep are woken after the work, not in the middle of it.
final class EndOfTick {
    private let eventLoop: NIOIsolatedEventLoop
    private var waiting: [any Flushing] = []

    init(on eventLoop: any EventLoop) {
        self.eventLoop = eventLoop.assumeIsolated()
    }

    /// Calls `flush` at the end of the tick; to be called once per tick and flusher.
    func flush(_ flusher: any Flushing) {
        self.waiting.append(flusher)
        guard self.waiting.count == 1 else { return }
        self.eventLoop.execute {
            // What is written by flushing belongs to the next tick.
            var due: [any Flushing] = []
            swap(&due, &self.waiting)
            for flusher in due { flusher.flush() }
            // The room is kept.
            due.removeAll(keepingCapacity: true)
            if self.waiting.isEmpty { self.waiting = due }
        }
    }
}

import Synchronization

/// Counts what must not happen twice.
package final class Ledger: Sendable {
    private let entries = Mutex(0)

    package init() {}

    package var count: Int { self.entries.withLock { $0 } }

    /// - Returns: The number of the entry.
    @discardableResult
    package func add() -> Int {
        self.entries.withLock { entries in
            entries += 1
            return entries
        }
    }
}

import Synchronization

/// Counts what must not happen twice.
package final class Ledger: Sendable {
    private let entries = Mutex<[String]>([])

    package init() {}

    package var count: Int { self.entries.withLock { $0.count } }

    /// - Returns: The number of the entry.
    @discardableResult
    package func add(_ entry: String = "") -> Int {
        self.entries.withLock { entries in
            entries.append(entry)
            return entries.count
        }
    }
}

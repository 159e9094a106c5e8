import Synchronization

/// How much of the bodies of requests may be kept at a time, for all event loops together.
package final class BodyBudget: Sendable {
    private let limit: Atomic<Int>
    private let used = Atomic(0)

    /// - Parameter limit: The limit, in bytes.
    package init(limit: Int) {
        self.limit = Atomic(limit)
    }

    /// Changes the limit.
    ///
    /// Bodies that are already held are not affected.
    ///
    /// - Parameter limit: The limit, in bytes.
    package func change(to limit: Int) {
        self.limit.store(limit, ordering: .relaxed)
    }

    func take(_ size: Int) -> Bool {
        let new = self.used.add(size, ordering: .relaxed).newValue
        guard new > self.limit.load(ordering: .relaxed) else { return true }
        self.giveBack(size)
        return false
    }

    func giveBack(_ size: Int) {
        guard size > 0 else { return }
        self.used.subtract(size, ordering: .relaxed)
    }
}

/// What one request has of the budget, until it is over.
struct BodyReservation: ~Copyable {
    private let budget: BodyBudget
    private var size = 0

    init(in budget: BodyBudget) {
        self.budget = budget
    }

    deinit {
        self.budget.giveBack(self.size)
    }

    /// - Returns: Whether so much more may be kept.
    mutating func add(_ size: Int) -> Bool {
        guard self.budget.take(size) else { return false }
        self.size += size
        return true
    }

    mutating func clear() {
        self.budget.giveBack(self.size)
        self.size = 0
    }
}

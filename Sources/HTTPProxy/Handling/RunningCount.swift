import Synchronization

/// How many handlers are at work.
final class RunningCount: Sendable {
    private let count = Atomic(0)

    var isZero: Bool { self.count.load(ordering: .acquiring) == 0 }

    func add() { self.count.add(1, ordering: .relaxed) }

    func remove() { self.count.subtract(1, ordering: .releasing) }
}

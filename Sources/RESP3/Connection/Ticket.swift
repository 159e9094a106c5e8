import Synchronization

/// A caller's place in a queue that it has not necessarily reached when it wants to leave it.
final class Ticket: Sendable {
    private static let notQueued = 0
    private static let cancelled = -1

    private let place = Atomic(Ticket.notQueued)

    /// Notes the place, a positive number.
    ///
    /// - Returns: Whether the caller still wants it.
    func queue(at place: Int) -> Bool {
        self.place.compareExchange(expected: Self.notQueued, desired: place, ordering: .acquiringAndReleasing).exchanged
    }

    /// Notes that the caller leaves.
    ///
    /// - Returns: The place to take it from, if it has one already.
    func cancel() -> Int? {
        let place = self.place.exchange(Self.cancelled, ordering: .acquiringAndReleasing)
        return place > 0 ? place : nil
    }
}

/// The right of one attempt to its lease.
///
/// Dropped without an end, such as by a handler that never answers, the lease is no longer renewed and ends on its own.
final class HeldLease: Sendable {
    let live: LiveLease
    private let keeper: LeaseKeeper

    init(_ live: LiveLease, keeper: LeaseKeeper) {
        self.live = live
        self.keeper = keeper
    }

    /// Stops renewing.
    func end() {
        self.keeper.drop(self.live)
    }

    deinit {
        self.end()
    }
}

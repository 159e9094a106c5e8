import Logging
import Synchronization

/// A claim that a running attempt holds, and how long it can be sure of it.
final class LiveLease: Sendable {
    private enum Phase {
        case running(onLoss: [@Sendable () -> Void])
        /// The outcome is being stored, or the key given back: a refused renewal can mean that this has happened.
        case settling(onLoss: [@Sendable () -> Void])
        /// The store said that another attempt has the key, or none.
        case lost
        /// The attempt is over.
        case ended
    }

    private struct State {
        var phase = Phase.running(onLoss: [])
        var heldUntil: Timestamp
        var renewAt: Timestamp
        var isRenewing = false

        var needsRenewal: Bool {
            switch self.phase {
            case .running, .settling: return !self.isRenewing
            case .lost, .ended: return false
            }
        }
    }

    let claim: Claim
    /// The store that granted the claim.
    let store: StoreIdentity
    let duration: Duration
    /// The logger of the request that the attempt belongs to.
    let logger = Logger.current
    private let state: Mutex<State>

    /// - Parameters:
    ///   - claim: The claim.
    ///   - store: The store that granted it.
    ///   - duration: The length of the lease.
    ///   - requestedAt: When the claim was asked for. The store counts from later on, so the lease outlives what is
    ///     assumed here.
    init(_ claim: consuming Claim, store: StoreIdentity, duration: Duration, requestedAt: Timestamp) {
        self.claim = claim
        self.store = store
        self.duration = duration
        self.state = Mutex(
            State(
                heldUntil: requestedAt.advanced(by: duration),
                renewAt: requestedAt.advanced(by: Self.renewalInterval(of: duration))))
    }

    private static func renewalInterval(of duration: Duration) -> Duration { duration / 3 }

    // MARK: The attempt's view

    /// Until when no other attempt can have taken the key.
    var heldUntil: Timestamp { self.state.withLock { $0.heldUntil } }

    /// Whether the store said that another attempt has the key, or none.
    var isLost: Bool {
        self.state.withLock { state in
            guard case .lost = state.phase else { return false }
            return true
        }
    }

    /// Calls `action` once if the lease is lost while the attempt runs, at once if it is lost already.
    func onLoss(_ action: @escaping @Sendable () -> Void) {
        let isLost = self.state.withLock { state in
            switch state.phase {
            case .running(let actions):
                state.phase = .running(onLoss: actions + [action])
                return false
            case .lost: return true
            case .settling, .ended: return false
            }
        }
        if isLost { action() }
    }

    /// From now on, a refused renewal is no loss: the answer of the store to the settlement tells.
    func beginSettling() {
        self.state.withLock { state in
            guard case .running(let actions) = state.phase else { return }
            state.phase = .settling(onLoss: actions)
        }
    }

    /// The settlement failed, and the attempt goes on.
    func resume() {
        self.state.withLock { state in
            guard case .settling(let actions) = state.phase else { return }
            state.phase = .running(onLoss: actions)
        }
    }

    func end() {
        self.state.withLock { state in
            if case .lost = state.phase { return }
            state.phase = .ended
        }
    }

    // MARK: The keeper's view

    /// When to renew next; `nil` while a renewal is under way, or none is needed any more.
    var renewAt: Timestamp? {
        self.state.withLock { $0.needsRenewal ? $0.renewAt : nil }
    }

    /// Marks a renewal as under way.
    ///
    /// - Returns: `false` if none is due.
    func beginRenewal(now: Timestamp) -> Bool {
        self.state.withLock { state in
            guard state.needsRenewal, state.renewAt <= now else { return false }
            state.isRenewing = true
            return true
        }
    }

    func renewalSucceeded(requestedAt: Timestamp) {
        self.state.withLock { state in
            state.isRenewing = false
            state.heldUntil = requestedAt.advanced(by: self.duration)
            state.renewAt = requestedAt.advanced(by: Self.renewalInterval(of: self.duration))
        }
    }

    /// Nothing is known; the next try comes after a tenth of the lease.
    func renewalFailed(now: Timestamp) {
        self.state.withLock { state in
            state.isRenewing = false
            state.renewAt = now.advanced(by: self.duration / 10)
        }
    }

    /// The store said that the claim no longer owns the key.
    ///
    /// - Returns: Whether that is a loss; it is none if the attempt has just completed or released the key itself.
    func renewalRefused() -> Bool {
        let actions = self.state.withLock { state -> [@Sendable () -> Void]? in
            guard case .running(let actions) = state.phase else { return nil }
            state.phase = .lost
            return actions
        }
        for action in actions ?? [] { action() }
        return actions != nil
    }
}

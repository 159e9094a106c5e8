import Logging
import Synchronization

/// A claim that an attempt holds, and how long it can be sure of it.
///
/// Pure bookkeeping: ``LeaseRenewer`` does what it says is due.
final class Lease: Sendable {
    fileprivate enum Phase {
        case running(onLoss: [@Sendable () -> Void])
        /// The outcome is being stored, or the key freed: a refused renewal can mean that this has happened.
        case completing
        /// The store said that another attempt has the key, or none.
        case lost
        /// The attempt is over.
        case ended
    }

    fileprivate enum Renewal {
        case planned(Timestamp)
        case underway
        case none
    }

    fileprivate struct State {
        var phase = Phase.running(onLoss: [])
        var heldUntil: Timestamp
        var renewal: Renewal
        var deadline: (at: Timestamp, action: @Sendable () -> Void)?
        /// Cancels the task of the attempt.
        var cancel: (@Sendable () -> Void)?
    }

    /// What is due for a lease.
    struct Due {
        var isRenewal = false
        var action: (@Sendable () -> Void)?
    }

    let claim: Claim
    /// What was asked for.
    let request: ClaimRequest
    /// The store that granted the claim.
    let store: StoreIdentity
    /// The logger of the request that the attempt belongs to.
    let logger = Logger.current
    /// The place in the renewer's table.
    let slot = Atomic(-1)
    /// Until when an earlier call that asked for the claim, and whose reply was lost, can still come to the store.
    let mayBeGrantedUntil: Timestamp?
    private let renewedUntil: Timestamp?
    private let state: Mutex<State>

    /// - Parameters:
    ///   - claim: The claim.
    ///   - request: What was asked for.
    ///   - store: The store that granted it.
    ///   - requestedAt: When the claim was asked for. The store counts from later on, so the lease outlives what is
    ///     assumed here.
    ///   - mayBeGrantedUntil: Until when an earlier call that asked for the claim can still come to the store.
    ///   - maxRunTime: For how long it is renewed while the operation runs.
    init(
        _ claim: consuming Claim,
        for request: ClaimRequest,
        store: StoreIdentity,
        requestedAt: Timestamp,
        mayBeGrantedUntil: Timestamp? = nil,
        maxRunTime: Duration? = nil
    ) {
        let duration = request.lease
        self.claim = claim
        self.request = request
        self.store = store
        self.mayBeGrantedUntil = mayBeGrantedUntil
        self.renewedUntil = maxRunTime.map { requestedAt.advanced(by: $0) }
        self.state = Mutex(
            State(
                heldUntil: requestedAt.advanced(by: duration),
                renewal: .planned(requestedAt.advanced(by: duration / 3))))
    }

    // MARK: The attempt's view

    var duration: Duration { self.request.lease }

    /// Until when no other attempt can have taken the key.
    var heldUntil: Timestamp { self.state.withLock { $0.heldUntil } }

    /// Whether an operation may start: the lease is not lost, and there is time left.
    func maySafelyStart(at now: Timestamp) -> Bool {
        self.state.withLock { state in
            guard case .running = state.phase else { return false }
            return now.advanced(by: self.duration / 10) < state.heldUntil
        }
    }

    /// Whether the store said that another attempt has the key, or none.
    var isLost: Bool {
        self.state.withLock { state in
            if case .lost = state.phase { true } else { false }
        }
    }

    /// Whether the operation runs.
    var isRunning: Bool {
        self.state.withLock { state in
            if case .running = state.phase { true } else { false }
        }
    }

    /// Whether the attempt is over, and its key stored or freed.
    var hasEnded: Bool {
        self.state.withLock { state in
            if case .ended = state.phase { true } else { false }
        }
    }

    /// Whether nothing has to be kept alive any more.
    var isOver: Bool {
        self.state.withLock { state in
            switch state.phase {
            case .running, .completing: false
            case .lost, .ended: true
            }
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
            case .completing, .ended: return false
            }
        }
        if isLost { action() }
    }

    /// Takes note of the task that the attempt, and the first try to store its outcome, run in.
    func runs(cancel: @escaping @Sendable () -> Void) {
        self.state.withLock { $0.cancel = cancel }
    }

    /// Cancels a call to the store that holds up the task of the attempt, whose operation has ended.
    func interruptAttempt() {
        let cancel = self.state.withLock { $0.cancel.take() }
        cancel?()
    }

    /// From now on, a refused renewal is no loss: what the store says to the completion tells.
    ///
    /// - Parameters:
    ///   - staysAlive: Whether the lease is renewed until its end.
    ///   - deadline: When to call `action`, unless the lease has ended by then.
    ///   - action: Releases the caller.
    /// - Returns: `false` if the lease was lost before.
    func beginCompleting(
        staysAlive: Bool,
        deadline: Timestamp?,
        action: @escaping @Sendable () -> Void
    ) -> Bool {
        self.state.withLock { state in
            if case .lost = state.phase { return false }
            state.phase = staysAlive ? .completing : .ended
            state.deadline = deadline.map { ($0, action) }
            // One that was no longer renewed, having run for too long, is kept alive again.
            if case .none = state.renewal { state.renewal = .planned(state.heldUntil) }
            return true
        }
    }

    /// Nothing has to be kept alive any more.
    func end() {
        self.state.withLock { state in
            state.deadline = nil
            state.cancel = nil
            if case .lost = state.phase { return }
            state.phase = .ended
        }
    }

    // MARK: The renewer's view

    /// When something is due next; `nil` if nothing is, or a renewal is under way.
    var nextDate: Timestamp? { self.state.withLock { $0.nextDate } }

    /// Takes what is due.
    func takeDue(now: Timestamp) -> Due {
        self.state.withLock { state in
            var due = Due()
            if let deadline = state.deadline, deadline.at <= now {
                state.deadline = nil
                due.action = deadline.action
            }
            guard state.needsRenewal, case .planned(let date) = state.renewal, date <= now else { return due }
            if case .running = state.phase, let end = self.renewedUntil, end <= now {
                state.renewal = .none
            } else {
                state.renewal = .underway
                due.isRenewal = true
            }
            return due
        }
    }

    func renewalSucceeded(requestedAt: Timestamp) {
        self.state.withLock { state in
            state.heldUntil = requestedAt.advanced(by: self.duration)
            state.renewal = .planned(requestedAt.advanced(by: self.duration / 3))
        }
    }

    /// Nothing is known; the next try comes after a tenth of the lease.
    func renewalFailed(now: Timestamp) {
        self.state.withLock { $0.renewal = .planned(now.advanced(by: self.duration / 10)) }
    }

    /// The store said that the claim no longer owns the key.
    ///
    /// - Returns: Whether that is a loss; it is none if the attempt has just completed or released the key itself.
    func renewalRefused(now: Timestamp) -> Bool {
        let actions = self.state.withLock { state -> [@Sendable () -> Void]? in
            switch state.phase {
            case .running(let actions):
                state.phase = .lost
                return actions
            case .completing:
                // The reply to the completion may have been lost; or another attempt has the key, which the next try
                // to complete finds out.
                state.renewal = .planned(now.advanced(by: self.duration / 3))
                return nil
            case .lost, .ended: return nil
            }
        }
        for action in actions ?? [] { action() }
        return actions != nil
    }
}

extension Lease.State {
    fileprivate var needsRenewal: Bool {
        switch self.phase {
        case .running, .completing: true
        case .lost, .ended: false
        }
    }

    fileprivate var nextDate: Timestamp? {
        let renewal: Timestamp? =
            if self.needsRenewal, case .planned(let date) = self.renewal { date } else { nil }
        guard let deadline = self.deadline?.at else { return renewal }
        return min(deadline, renewal ?? deadline)
    }
}

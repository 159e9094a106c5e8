public import Idemptx
import Synchronization

/// A store that fails where a test says so, in front of one that works.
///
/// ```swift
/// let store = FaultyStore(MemoryStore())
/// store.inject(.losesReply, at: .complete)
/// ```
///
/// It stands for the way to the store, too: the timeout of a claim that is held up runs meanwhile, so that a claim which
/// arrives too late is not granted.
public final class FaultyStore: IdempotencyStore {
    /// The calls of the store contract.
    public enum Call: String, Sendable, CaseIterable {
        /// `IdempotencyStore/claim(_:)`
        case claim
        /// `IdempotencyStore/renew(_:lease:)`
        case renew
        /// `IdempotencyStore/complete(_:with:keyTTL:)`
        case complete
        /// `IdempotencyStore/release(_:)`
        case release
    }

    /// What goes wrong.
    public enum Fault: Sendable {
        /// The call never reaches the store: `StoreError/Code/unavailable`.
        case failsBefore
        /// The call takes effect, then an error that says nothing about it is thrown.
        case failsAfter(any Error)
        /// The call takes effect, and its reply is lost: `StoreError/Code/replyLost`.
        case losesReply
        /// The call has no effect, but the caller cannot know: `StoreError/Code/replyLost`.
        case losesRequest
        /// The call throws this and has no effect.
        case throwsError(any Error)
        /// The call reaches the store only after this has returned.
        case waits(@Sendable () async -> Void)
        /// The call reaches the store after this time.
        case isDelayed(Duration)
        /// The caller is told at once that the reply is lost, and the call reaches the store after this has returned.
        case arrivesLate(@Sendable () async -> Void)
    }

    private struct State {
        var faults: [Call: [Fault]] = [:]
        var permanent: [Call: Fault] = [:]
        var counts: [Call: Int] = [:]
        var standing: [CheckedContinuation<Void, Never>]?
        var lateCalls = 0
    }

    private let store: any IdempotencyStore
    private let time: TimeSource
    private let state = Mutex(State())

    /// Puts faults in front of a store.
    ///
    /// - Parameters:
    ///   - store: A store that works.
    ///   - clock: The clock that delays, and the timeouts of claims that are held up, are measured with.
    public init(_ store: any IdempotencyStore, clock: some Clock<Duration> = ContinuousClock()) {
        self.store = store
        self.time = TimeSource(clock)
    }

    /// That of the store behind.
    public var identity: StoreIdentity { self.store.identity }

    /// Lets the next calls of a kind fail.
    ///
    /// Faults of one kind of call happen in the order in which they were injected.
    ///
    /// - Parameters:
    ///   - fault: What goes wrong.
    ///   - call: The kind of call.
    ///   - times: How many calls it happens to.
    public func inject(_ fault: Fault, at call: Call, times: Int = 1) {
        self.state.withLock { $0.faults[call, default: []] += Array(repeating: fault, count: max(0, times)) }
    }

    /// Lets every call of a kind fail until ``heal()``, once the faults injected before are over.
    ///
    /// - Parameters:
    ///   - fault: What goes wrong.
    ///   - call: The kind of call.
    public func breakDown(_ fault: Fault = .failsBefore, at call: Call) {
        self.state.withLock { $0.permanent[call] = fault }
    }

    /// Holds up every call until ``heal()``, such as a server that is stopped.
    public func standStill() {
        self.state.withLock { $0.standing = $0.standing ?? [] }
    }

    /// Forgets all faults, and lets the calls go on that are held up.
    public func heal() {
        let held = self.state.withLock { state in
            defer { (state.faults, state.permanent, state.standing) = ([:], [:], nil) }
            return state.standing ?? []
        }
        for continuation in held { continuation.resume() }
    }

    /// How many calls of a kind were made, failed ones included.
    ///
    /// - Parameter call: The kind of call.
    /// - Returns: Their number.
    public func count(of call: Call) -> Int {
        self.state.withLock { $0.counts[call] ?? 0 }
    }

    /// How many calls are under way whose callers have been told that the reply is lost.
    public var lateCallCount: Int { self.state.withLock { $0.lateCalls } }

    /// Asks to run an operation.
    public func claim(_ request: ClaimRequest) async throws -> ClaimResult<Claim> {
        let start = self.time.now
        let fault = try await self.enter(.claim) { time in
            _ = try await self.store.claim(request.heldUp(for: start.duration(to: time.now)))
        }
        let result = try await self.store.claim(request.heldUp(for: start.duration(to: self.time.now)))
        try fault?.leave()
        return result
    }

    /// Moves the end of a claim's lease.
    public func renew(_ claim: borrowing Claim, lease: Duration) async throws -> Bool {
        let copy = HeldCopy(claim)
        let fault = try await self.enter(.renew) { _ in _ = try await self.store.renew(copy.claim, lease: lease) }
        let isHeld = try await self.store.renew(claim, lease: lease)
        try fault?.leave()
        return isHeld
    }

    /// Stores how the operation ended.
    public func complete(_ claim: borrowing Claim, with outcome: Outcome, keyTTL: Duration) async throws -> Bool {
        let copy = HeldCopy(claim)
        let fault = try await self.enter(.complete) { _ in
            _ = try await self.store.complete(copy.claim, with: outcome, keyTTL: keyTTL)
        }
        let isStored = try await self.store.complete(claim, with: outcome, keyTTL: keyTTL)
        try fault?.leave()
        return isStored
    }

    /// Frees the key.
    public func release(_ claim: borrowing Claim) async throws -> Bool {
        let copy = HeldCopy(claim)
        let fault = try await self.enter(.release) { _ in _ = try await self.store.release(copy.claim) }
        let isReleased = try await self.store.release(claim)
        try fault?.leave()
        return isReleased
    }

    /// The hints of the store behind.
    public func changes(of key: StorageKey) -> AsyncStream<Void> {
        self.store.changes(of: key)
    }

    /// Does what comes before the call.
    ///
    /// - Parameters:
    ///   - call: The kind of call.
    ///   - late: The call, should it be made only after its caller has gone.
    /// - Returns: The fault.
    /// - Throws: What the caller is told if the call does not reach the store before.
    private func enter(
        _ call: Call,
        late: @escaping @Sendable (TimeSource) async throws -> Void
    ) async throws -> Fault? {
        let fault = self.state.withLock { state in
            state.counts[call, default: 0] += 1
            guard state.faults[call]?.isEmpty == false else { return state.permanent[call] }
            return state.faults[call]?.removeFirst()
        }
        await self.waitWhileStanding()
        switch fault {
        case .failsBefore: throw StoreError(.unavailable, "A test made the store unreachable.")
        case .losesRequest: throw StoreError(.replyLost, "A test lost the request to the store.")
        case .throwsError(let error): throw error
        case .waits(let wait): await wait()
        case .isDelayed(let duration): try await self.time.sleep(for: duration)
        case .arrivesLate(let wait):
            self.makeLate(after: wait, late)
            throw StoreError(.replyLost, "A test let the call arrive late.")
        case .failsAfter, .losesReply, nil: break
        }
        return fault
    }

    private func waitWhileStanding() async {
        await withCheckedContinuation { continuation in
            let isHeld = self.state.withLock { state in
                state.standing?.append(continuation)
                return state.standing != nil
            }
            if !isHeld { continuation.resume() }
        }
    }

    /// Makes a call without waiting for it.
    private func makeLate(
        after wait: @escaping @Sendable () async -> Void,
        _ call: @escaping @Sendable (TimeSource) async throws -> Void
    ) {
        self.state.withLock { $0.lateCalls += 1 }
        // The caller does not wait: that is the fault.
        Task.detached {
            await wait()
            try? await call(self.time)
            self.state.withLock { $0.lateCalls -= 1 }
        }
    }
}

extension FaultyStore.Fault {
    fileprivate func leave() throws {
        switch self {
        case .failsAfter(let error): throw error
        case .losesReply: throw StoreError(.replyLost, "A test lost the reply of the store.")
        case .failsBefore, .losesRequest, .throwsError, .waits, .isDelayed, .arrivesLate: break
        }
    }
}

extension ClaimRequest {
    fileprivate func heldUp(for duration: Duration) -> ClaimRequest {
        guard let timeout else { return self }
        var request = self
        request.timeout = timeout - duration
        return request
    }
}

/// A claim once more, for a call that outlives the one it was made for.
private final class HeldCopy: Sendable {
    let claim: Claim

    init(_ claim: borrowing Claim) {
        let request = ClaimRequest(
            key: claim.key, owner: claim.owner, fingerprint: claim.fingerprint, keyTTL: claim.keyTTL,
            onAbandoned: claim.retention.onAbandoned, unresolvedRetention: claim.retention.unresolved)
        self.claim = Claim(granting: request, ClaimGrant(attempt: claim.attempt, unknownAttempt: claim.unknownAttempt))
    }
}

public import Idemptx
import Synchronization

/// A store that fails where a test says so, in front of one that works.
///
/// ```swift
/// let store = FaultyStore(MemoryStore())
/// store.inject(.losesReply, at: .complete)
/// ```
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
        /// The call takes effect, and its reply is lost: `StoreError/Code/outcomeUnknown`.
        case losesReply
        /// The call throws this and has no effect.
        case throwsError(any Error)
        /// The call reaches the store only after this has returned.
        case waits(@Sendable () async -> Void)
    }

    private struct State {
        var faults: [Call: [Fault]] = [:]
        var permanent: [Call: Fault] = [:]
        var counts: [Call: Int] = [:]
    }

    private let store: any IdempotencyStore
    private let state = Mutex(State())

    /// Puts faults in front of a store.
    ///
    /// - Parameter store: A store that works.
    public init(_ store: any IdempotencyStore) {
        self.store = store
    }

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

    /// Forgets all faults.
    public func heal() {
        self.state.withLock { state in
            state.faults = [:]
            state.permanent = [:]
        }
    }

    /// How many calls of a kind were made, failed ones included.
    ///
    /// - Parameter call: The kind of call.
    /// - Returns: Their number.
    public func count(of call: Call) -> Int {
        self.state.withLock { $0.counts[call] ?? 0 }
    }

    /// Asks to run an operation.
    public func claim(_ request: ClaimRequest) async throws -> Admission {
        let fault = try await self.enter(.claim)
        let admission = try await self.store.claim(request)
        try fault?.leave()
        return admission
    }

    /// Moves the end of a claim's lease.
    public func renew(_ claim: borrowing Claim, lease: Duration) async throws -> Bool {
        let fault = try await self.enter(.renew)
        let isHeld = try await self.store.renew(claim, lease: lease)
        try fault?.leave()
        return isHeld
    }

    /// Stores how the operation ended.
    public func complete(_ claim: borrowing Claim, with outcome: Outcome, keyTTL: Duration) async throws -> Bool {
        let fault = try await self.enter(.complete)
        let isStored = try await self.store.complete(claim, with: outcome, keyTTL: keyTTL)
        try fault?.leave()
        return isStored
    }

    /// Gives the key back.
    public func release(_ claim: borrowing Claim) async throws -> Bool {
        let fault = try await self.enter(.release)
        let isReleased = try await self.store.release(claim)
        try fault?.leave()
        return isReleased
    }

    /// The hints of the store behind.
    public func changes(of key: StorageKey) -> AsyncStream<Void> {
        self.store.changes(of: key)
    }

    private func enter(_ call: Call) async throws -> Fault? {
        let fault = self.state.withLock { state in
            state.counts[call, default: 0] += 1
            guard state.faults[call]?.isEmpty == false else { return state.permanent[call] }
            return state.faults[call]?.removeFirst()
        }
        try await fault?.enter()
        return fault
    }
}

extension FaultyStore.Fault {
    fileprivate func enter() async throws {
        switch self {
        case .failsBefore: throw StoreError(.unavailable, "A test made the store unreachable.")
        case .throwsError(let error): throw error
        case .waits(let wait): await wait()
        case .failsAfter, .losesReply: break
        }
    }

    fileprivate func leave() throws {
        switch self {
        case .failsAfter(let error): throw error
        case .losesReply: throw StoreError(.outcomeUnknown, "A test lost the reply of the store.")
        case .failsBefore, .throwsError, .waits: break
        }
    }
}

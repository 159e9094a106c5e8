import Synchronization

/// Lets claims of one key that arrive together share one call to the store.
///
/// A final result goes to every claim that waits for it, and so does the error that others have had the record for too long: one
/// more call would only wait for them anew. Any other result holds only for the moment of the call: it goes to
/// the claims that had arrived before the call began. Later claims share one more call.
final class ClaimCoalescer: Sendable {
    /// What a waiting claim receives.
    private enum Message: Sendable {
        case result(ClaimResult<Lease>)
        case failed(StoreError)
        /// Make the next call, for these as well.
        case lead
    }

    private typealias Waiter = CheckedContinuation<Message, Never>

    /// One call to the store.
    private struct Call {
        /// They arrived before the call began.
        var followers: [Waiter] = []
        /// They arrived during the call.
        var latecomers: [Waiter] = []
    }

    private let calls = Mutex<[ClaimSubject: Call]>([:])

    /// Claims, or waits for a claim that says the same.
    ///
    /// - Parameters:
    ///   - request: What is claimed.
    ///   - call: Calls the store; told whether that happens at once.
    /// - Returns: The result of a call that began after this, or a final one of a call that was under way.
    /// - Throws: What the call throws.
    func claim(
        _ request: ClaimRequest,
        _ call: (_ isFirst: Bool) async throws -> ClaimResult<Lease>
    ) async throws -> ClaimResult<Lease> {
        let subject = ClaimSubject(request)
        guard self.join(subject) else { return try await self.lead(subject) { try await call(true) } }
        return try await self.follow(subject, call)
    }

    /// Waits for the call of a claim that says the same, and makes the next one if it is this one's turn.
    @inline(never)
    private func follow(
        _ subject: ClaimSubject,
        _ call: (_ isFirst: Bool) async throws -> ClaimResult<Lease>
    ) async throws -> ClaimResult<Lease> {
        let message = await withCheckedContinuation { continuation in
            let isOver = self.calls.withLock { calls in
                guard calls[subject] != nil else {
                    calls[subject] = Call()
                    return true
                }
                calls[subject]?.latecomers.append(continuation)
                return false
            }
            if isOver { continuation.resume(returning: .lead) }
        }
        switch message {
        case .result(let result): return result
        case .failed(let error): throw error
        case .lead: return try await self.lead(subject) { try await call(false) }
        }
    }

    /// Whether there is a call to wait for; if not, the caller makes one.
    private func join(_ subject: ClaimSubject) -> Bool {
        self.calls.withLock { calls in
            if calls[subject] != nil { return true }
            calls[subject] = Call()
            return false
        }
    }

    private func lead(
        _ subject: ClaimSubject,
        _ call: () async throws -> ClaimResult<Lease>
    ) async throws -> ClaimResult<Lease> {
        do {
            let result = try await call()
            self.end(subject, shared: .result(result.asSeenByOthers), isFinal: result.isFinal)
            return result
        } catch let error as StoreError {
            self.end(subject, shared: .failed(error.asSeenByOthers), isFinal: error.isRecordBusy)
            throw error
        } catch {
            self.end(subject, shared: nil, isFinal: false)
            throw error
        }
    }

    /// Ends a call.
    ///
    /// - Parameters:
    ///   - subject: What was claimed.
    ///   - message: What the others receive; `nil` if the caller was cancelled and there is no result.
    ///   - isFinal: Whether it holds for latecomers, too.
    private func end(_ subject: ClaimSubject, shared message: Message?, isFinal: Bool) {
        let (told, leader) = self.calls.withLock { calls -> ([Waiter], Waiter?) in
            guard let call = calls.removeValue(forKey: subject) else { return ([], nil) }
            var waiting = call.latecomers
            var told = call.followers
            if message == nil {
                waiting = told + waiting
                told = []
            } else if isFinal {
                told += waiting
                waiting = []
            }
            guard !waiting.isEmpty else { return (told, nil) }
            let leader = waiting.removeFirst()
            calls[subject] = Call(followers: waiting)
            return (told, leader)
        }
        if let message { for waiter in told { waiter.resume(returning: message) } }
        leader?.resume(returning: .lead)
    }
}

extension ClaimResult<Lease> {
    /// Whether it stays the same for as long as the record is kept.
    fileprivate var isFinal: Bool {
        switch self {
        case .completed: true
        // The attempt that has the key for something else may yet release it.
        case .granted, .inProgress, .mismatch, .unknown: false
        }
    }

    /// What it means for the other claims: a key that was granted is in use.
    fileprivate var asSeenByOthers: ClaimResult<Lease> {
        guard case .granted(let lease) = self else { return self }
        return .inProgress(remainingLease: lease.duration)
    }
}

extension StoreError {
    /// What it means for the other claims: the lost reply was not to one of theirs, so they have nothing to release.
    fileprivate var asSeenByOthers: StoreError {
        guard self.code == .replyLost else { return self }
        return StoreError(.unavailable, self.message, underlyingError: self.underlyingError)
    }
}

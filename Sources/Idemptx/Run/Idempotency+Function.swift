import HTTPTypes

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension Idempotency {
    /// Runs a function once per key, and gives every later call its result.
    ///
    /// ```swift
    /// let receipt = try await idempotency.run(key: message.id) { context in
    ///     try await bank.transfer(order, reference: message.id, fence: context.attempt)
    /// }
    /// ```
    ///
    /// The result is stored before this returns; if the store fails then, it is returned all the same, and the log and
    /// the metric `idempotency.unstored` tell. A caller who is cancelled cancels nothing: the operation ends and its
    /// result is stored. Only the loss of its lease to another attempt cancels it.
    ///
    /// An error that `operation` throws reaches this caller as it is. The policy treats it as a status of 500: with
    /// ``ReplayPolicy/atMostOnce``, the default, later calls throw ``IdempotencyProblem/Kind/responseNotReplayable``,
    /// because it is not known whether the operation had an effect; with ``ReplayPolicy/retryServerErrors`` they run it
    /// again. ``IdempotencyContext/release()`` says so for one error.
    ///
    /// - Parameters:
    ///   - key: Names the operation; see ``IdempotencyKey`` for what it may hold.
    ///   - scope: Whose key it is. Needed if the key comes from outside.
    ///   - fingerprint: What the operation is asked to do. A later call with another fingerprint is refused.
    ///   - operation: The work. Its result has to survive a round trip through JSON.
    /// - Returns: The result of `operation`, now or then.
    /// - Throws: ``IdempotencyProblem`` if the operation was neither run to its end nor replayed; `DecodingError` if a stored
    ///   result is not a `Value`; `CancellationError` if the caller is cancelled before the operation starts; what
    ///   `operation` throws.
    public func run<Value: Codable & Sendable>(
        key: String,
        scope: Scope = .unscoped,
        fingerprint: Fingerprint = .none,
        operation: @escaping @Sendable (IdempotencyContext) async throws -> Value
    ) async throws -> Value {
        let policy = self.effectivePolicy
        let key = try self.validated(key, policy: policy)
        if policy.mode == .off { return try await self.performUnprotected(operation, key: key) }

        let request = ClaimRequest(key: key, scope: scope, fingerprint: fingerprint, policy: policy)
        switch try await self.verdict(on: request, policy: policy) {
        case .refuse(let problem): throw problem.under(policy)
        case .replay(let response): return try JSONDecoder().decode(Value.self, from: Data(response.body))
        case .executeUnprotected: return try await self.performUnprotected(operation, key: key)
        case .execute(let lease):
            let context = IdempotencyContext(key: key, lease: lease.live, mode: policy.mode, time: self.time)
            let result = await self.perform(operation, in: context)
            return try await self.conclude(result, in: context, under: lease, policy: policy)
        }
    }

    /// Runs a function without a result once per key.
    ///
    /// All that is said of the form with a result holds here.
    ///
    /// - Parameters:
    ///   - key: Names the operation; see ``IdempotencyKey`` for what it may hold.
    ///   - scope: Whose key it is. Needed if the key comes from outside.
    ///   - fingerprint: What the operation is asked to do. A later call with another fingerprint is refused.
    ///   - operation: The work.
    /// - Throws: ``IdempotencyProblem`` if the operation was neither run to its end nor done before; `CancellationError` if the
    ///   caller is cancelled before the operation starts; what `operation` throws.
    public func run(
        key: String,
        scope: Scope = .unscoped,
        fingerprint: Fingerprint = .none,
        operation: @escaping @Sendable (IdempotencyContext) async throws -> Void
    ) async throws {
        _ = try await self.run(key: key, scope: scope, fingerprint: fingerprint) { context in
            try await operation(context)
            return NoResult()
        }
    }
}

extension Idempotency {
    private func validated(_ key: String, policy: IdempotencyPolicy) throws(IdempotencyProblem) -> IdempotencyKey {
        do {
            return try IdempotencyKey(key, maximumLength: policy.maxKeyLength)
        } catch {
            self.telemetry.decided(.rejected, mode: policy.mode)
            throw IdempotencyProblem(.keyInvalid, reason: error.rawValue).under(policy)
        }
    }

    private func performUnprotected<Value>(
        _ operation: (IdempotencyContext) async throws -> Value,
        key: IdempotencyKey
    ) async throws -> Value {
        let context = IdempotencyContext(key: key, lease: nil, mode: self.mode, time: self.time)
        return try await IdempotencyContext.$current.withValue(context) { try await operation(context) }
    }

    /// Runs the operation in a task of its own, which the caller's cancellation does not reach.
    private func perform<Value: Sendable>(
        _ operation: @escaping @Sendable (IdempotencyContext) async throws -> Value,
        in context: IdempotencyContext
    ) async -> Result<Value, any Error> {
        let task = Task {
            try await IdempotencyContext.$current.withValue(context) { try await operation(context) }
        }
        context.onLeaseLoss { task.cancel() }
        return await task.result
    }

    private func conclude<Value: Encodable>(
        _ result: Result<Value, any Error>,
        in context: IdempotencyContext,
        under lease: HeldLease,
        policy: IdempotencyPolicy
    ) async throws -> Value {
        if case .failure(let error) = result, error is CancellationError, lease.live.isLost, policy.mode == .enforce {
            lease.end()
            throw IdempotencyProblem.takenOver.under(policy)
        }
        if case .failure(let error) = result { context.operationThrew(error) }
        let outcome = self.outcome(of: result, policy: policy)
        let head = HTTPResponse(status: .init(code: outcome.tombstone.status))
        let disposition = context.disposition ?? policy.replay.disposition(of: head)
        await self.settleUnlessObserving(lease, as: Ending(disposition, of: outcome), policy: policy)
        return try result.get()
    }

    /// An error cannot be stored, only the fact that there was one.
    private func outcome<Value: Encodable>(of result: Result<Value, any Error>, policy: IdempotencyPolicy) -> Outcome {
        guard case .success(let value) = result else { return .tombstone(Tombstone(status: 500)) }
        guard let json = try? JSONEncoder().encode(value), json.count <= policy.maxResponseBody else {
            return .tombstone(Tombstone(status: 200))
        }
        return .response(StoredResponse(status: .ok, body: Array(json)))
    }
}

/// What is stored for a function without a result.
private struct NoResult: Codable {}

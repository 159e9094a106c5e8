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
    /// let receipt = try await idempotency.run("transfer", key: message.id) { context in
    ///     try await bank.transfer(order, reference: context.downstreamKey("bank"), fence: context.attempt)
    /// }
    /// ```
    ///
    /// The result is stored before this returns. If the store fails, the result is returned all the same after
    /// ``IdempotencyPolicy/completionRetryTime``, and storing goes on in the background. A caller who is cancelled cancels
    /// nothing: the operation ends and its result is stored, as long as the policy is enforced and the store can be used.
    /// Only the loss of its lease to another attempt cancels it.
    ///
    /// An error that `operation` throws reaches this caller as it is. The policy treats it as a status of 500: with
    /// ``ReplayPolicy/atMostOnce``, the default, later calls throw ``IdempotencyProblem/Kind/responseNotReplayable``,
    /// because it is not known whether the operation had an effect; with ``ReplayPolicy/retryServerErrors`` they run it
    /// again. ``IdempotencyContext/release()`` says so for one error.
    ///
    /// - Parameters:
    ///   - name: The name of the operation. The same key can be used with another name: `charge` and `receipt` both run.
    ///   - key: Names this one, in 1 to 255 characters of printable ASCII.
    ///   - scope: Whose key it is. Needed if the key comes from outside.
    ///   - fingerprint: What the operation is asked to do. A later call with another fingerprint is refused; `nil` agrees
    ///     with all.
    ///   - operation: What runs once. Its result has to survive a round trip through JSON.
    /// - Returns: The result of `operation`, now or then.
    /// - Throws: ``IdempotencyProblem`` if the operation was neither run to its end nor replayed; `DecodingError` if a stored
    ///   result is not a `Value`; `CancellationError` if the caller is cancelled before the operation starts; what
    ///   `operation` throws.
    public func run<Value: Codable & Sendable>(
        _ name: String,
        key: String,
        scope: Scope = .unscoped,
        fingerprint: Fingerprint? = nil,
        operation: @escaping @Sendable (IdempotencyContext) async throws -> Value
    ) async throws -> Value {
        let policy = self.sharedPolicy
        let key = try policy.mode == .off ? IdempotencyKey(unchecked: key) : self.validated(key, policy: policy)
        let request = ClaimRequest(
            key: key, scope: .operation(name, for: scope), fingerprint: fingerprint ?? .none, policy: policy)
        switch policy.mode {
        case .off: return try await self.runUnprotected(operation, key: key, request: request, policy: policy)
        case .observe: return try await self.runObserved(operation, key: key, request: request, policy: policy)
        case .enforce: return try await self.runEnforced(operation, key: key, request: request, policy: policy)
        }
    }

    /// Runs a function without a result once per key.
    ///
    /// Works like the form with a result.
    ///
    /// - Parameters:
    ///   - name: The name of the operation. The same key can be used with another name: `charge` and `receipt` both run.
    ///   - key: Names this one, in 1 to 255 characters of printable ASCII.
    ///   - scope: Whose key it is. Needed if the key comes from outside.
    ///   - fingerprint: What the operation is asked to do. A later call with another fingerprint is refused; `nil` agrees
    ///     with all.
    ///   - operation: What runs once.
    /// - Throws: ``IdempotencyProblem`` if the operation was neither run to its end nor done before; `CancellationError` if the
    ///   caller is cancelled before the operation starts; what `operation` throws.
    public func run(
        _ name: String,
        key: String,
        scope: Scope = .unscoped,
        fingerprint: Fingerprint? = nil,
        operation: @escaping @Sendable (IdempotencyContext) async throws -> Void
    ) async throws {
        _ = try await self.run(name, key: key, scope: scope, fingerprint: fingerprint) { context in
            try await operation(context)
            return NoResult()
        }
    }
}

extension Idempotency {
    private func validated(_ key: String, policy: SharedPolicy) throws(IdempotencyProblem) -> IdempotencyKey {
        do {
            return try IdempotencyKey(key, maximumLength: policy.maxKeyLength)
        } catch {
            self.telemetry.decided(.rejected, mode: policy.mode)
            throw IdempotencyProblem(.keyInvalid, reason: error.rawValue).under(policy)
        }
    }

    private func runEnforced<Value: Codable & Sendable>(
        _ operation: @escaping @Sendable (IdempotencyContext) async throws -> Value,
        key: IdempotencyKey,
        request: ClaimRequest,
        policy: SharedPolicy
    ) async throws -> Value {
        switch try await self.decide(request, key: key, policy: policy) {
        case .granted(let lease?):
            return try await self.run(operation, under: lease, key: key, policy: policy)
        case .granted(nil):
            return try await self.runUnprotected(operation, key: key, request: request, policy: policy)
        case .completed(let outcome): return try self.result(of: outcome, policy: policy).get()
        case let result: throw IdempotencyProblem(result, policy: policy)
        }
    }

    /// The result that was stored.
    private func result<Value: Decodable>(of outcome: Outcome, policy: SharedPolicy) -> Result<Value, any Error> {
        Result {
            guard case .response(let response) = outcome else {
                throw IdempotencyProblem(ClaimResult<Lease>.completed(outcome), policy: policy)
            }
            return try JSONDecoder().decode(Value.self, from: Data(response.body))
        }
    }

    private func runUnprotected<Value>(
        _ operation: (IdempotencyContext) async throws -> Value,
        key: IdempotencyKey,
        request: ClaimRequest,
        policy: SharedPolicy
    ) async throws -> Value {
        let context = IdempotencyContext(
            key: key, storageKey: request.key, lease: nil, policy: policy, of: self)
        return try await IdempotencyContext.$current.withValue(context) { try await operation(context) }
    }

    private func runObserved<Value: Codable & Sendable>(
        _ operation: (IdempotencyContext) async throws -> Value,
        key: IdempotencyKey,
        request: ClaimRequest,
        policy: SharedPolicy
    ) async throws -> Value {
        let observation = self.observe(request, key: key, policy: policy)
        let context = IdempotencyContext(
            key: key, storageKey: request.key, lease: nil, policy: policy, of: self)
        let result: Result<Value, any Error>
        do {
            result = .success(
                try await IdempotencyContext.$current.withValue(context) { try await operation(context) })
        } catch {
            result = .failure(error)
        }
        let (disposition, outcome) = self.judge(result, in: context, policy: policy)
        observation?.conclude(as: disposition, outcome)
        return try result.get()
    }

    /// Runs the operation and stores its result in a task of its own, which the caller's cancellation does not reach.
    private func run<Value: Codable & Sendable>(
        _ operation: @escaping @Sendable (IdempotencyContext) async throws -> Value,
        under lease: Lease,
        key: IdempotencyKey,
        policy: SharedPolicy
    ) async throws -> Value {
        let context = IdempotencyContext(
            key: key, storageKey: lease.claim.key, lease: lease, policy: policy, of: self)
        let result: Result<Value, any Error> = await shielded {
            do {
                return .success(
                    try await IdempotencyContext.$current.withValue(context) { try await operation(context) })
            } catch {
                return .failure(error)
            }
        } onStart: { cancel in
            context.runs(cancel: cancel)
        } then: { (result: Result<Value, any Error>, handover) in
            if case .failure(let error) = result, error is CancellationError, lease.isLost {
                self.renewer.remove(lease)
                self.telemetry.executed(.unstored)
                handover.fulfil(.failure(IdempotencyProblem.leaseLost.under(policy)))
                return
            }
            switch await self.joinedResult(of: lease, in: context) {
            case .stored(let outcome):
                self.end(lease, as: outcome.conclusion)
                handover.fulfil(context.hasCommitted ? result : self.result(of: outcome, policy: policy))
            case .unknown:
                self.end(lease, as: .unstored)
                handover.fulfil(.failure(IdempotencyProblem.storeUnavailable(under: policy)))
            case .nothing:
                let (disposition, outcome) = self.judge(result, in: context, policy: policy)
                await self.conclude(lease, as: disposition, outcome, policy: policy) { _ in handover.fulfil(result) }
            }
        }
        return try result.get()
    }

    /// What is to become of the key, and what is stored.
    ///
    /// An error cannot be stored, only the fact that there was one.
    func judge<Value: Encodable>(
        _ result: Result<Value, any Error>,
        in context: IdempotencyContext,
        policy: SharedPolicy
    ) -> (Disposition, Outcome) {
        let outcome: Outcome
        switch result {
        case .failure(let error):
            context.operationThrew(error)
            outcome = .tombstone(Tombstone(status: 500))
        case .success(let value):
            if let response = try? StoredResponse(json: value), response.body.count <= policy.maxResponseBody {
                outcome = .response(response)
            } else {
                outcome = .tombstone(Tombstone(status: 200))
            }
        }
        let head = HTTPResponse(status: .init(code: outcome.tombstone.status))
        return (context.disposition ?? policy.values.disposition(of: head), outcome)
    }
}

/// What is stored for a function without a result.
struct NoResult: Codable {}

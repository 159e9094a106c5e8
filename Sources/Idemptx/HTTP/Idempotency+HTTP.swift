public import HTTPTypes

/// The steps of a request, for adapters of HTTP servers.
///
/// ``screen(_:under:)``, then, with scope and body, ``admit(_:scope:)``, then whatever ``Execution`` demands. An adapter
/// translates between these and its server, and decides nothing.
extension Idempotency {
    /// Decides by its head which way a request takes.
    ///
    /// - Parameters:
    ///   - head: The request as received.
    ///   - policy: The rules for this request, to its end; `nil` for ``policy``.
    /// - Returns: The way to take.
    public func screen(_ head: HTTPRequest, under policy: IdempotencyPolicy? = nil) -> Screening {
        let policy = policy?.checked().effective ?? self.effectivePolicy
        guard policy.mode != .off, policy.methods.contains(head.method) else { return .pass }
        do throws(IdempotencyKey.ValidationError) {
            switch try policy.keySource.key(in: head, maximumLength: policy.maxKeyLength) {
            case .key(let key): return .guarded(GuardedRequest(head: head, key: key, policy: policy))
            case .inBody: return .guarded(GuardedRequest(head: head, key: nil, policy: policy))
            case .unsupportedMediaType where policy.required:
                throw IdempotencyKey.ValidationError.unsupportedMediaType
            case .none where policy.required: return self.reject(IdempotencyProblem(.keyMissing), policy: policy)
            case .unsupportedMediaType, .none: return .pass
            }
        } catch {
            return self.reject(IdempotencyProblem(.keyInvalid, reason: error.rawValue), policy: policy)
        }
    }

    /// Decides about a request whose body is larger than ``GuardedRequest/maxBodySize``.
    ///
    /// - Parameter request: The request.
    /// - Returns: The answer to give, or that the request passes with all of its body.
    public func refuseBody(of request: GuardedRequest) -> Screening {
        self.reject(
            IdempotencyProblem(.bodyTooLarge), policy: request.policy, markers: MarkerHeaders(key: request.keyHeader))
    }

    private func reject(
        _ problem: IdempotencyProblem,
        policy: IdempotencyPolicy,
        markers: MarkerHeaders? = nil
    ) -> Screening {
        self.telemetry.decided(.rejected, mode: policy.mode)
        guard policy.mode == .enforce else { return .pass }
        var answer = problem.under(policy).answer
        markers?.mark(&answer.head.headerFields)
        return .answer(answer)
    }

    /// Claims the key of a request, and waits for another that holds it as long as the policy says.
    ///
    /// - Parameters:
    ///   - request: The request, with all of its body.
    ///   - scope: Whose key it is.
    /// - Returns: The execution to perform, the answer to give, or that the request passes.
    /// - Throws: `CancellationError` if the task is cancelled before the operation may start. Nothing is claimed then.
    public func admit(_ request: GuardedRequest, scope: Scope) async throws -> HTTPAdmission {
        let policy = request.policy
        let (fingerprint, foundKey) = request.read()
        let markers = MarkerHeaders(key: request.keyHeader, fingerprint: fingerprint)
        if let problem = request.bodyProblem { return self.refuse(problem, policy: policy, markers: markers) }
        let key: IdempotencyKey?
        do {
            key = try foundKey.get()
        } catch {
            return self.refuse(IdempotencyProblem(.keyInvalid, reason: error.rawValue), policy: policy)
        }
        guard let key else {
            return policy.required ? self.refuse(IdempotencyProblem(.keyMissing), policy: policy) : .pass
        }
        let claim = ClaimRequest(key: key, scope: scope, fingerprint: fingerprint, policy: policy)
        return try await self.admit(claim, key: key, policy: policy, markers: markers)
    }

    private func admit(
        _ claim: ClaimRequest,
        key: IdempotencyKey,
        policy: IdempotencyPolicy,
        markers: MarkerHeaders
    ) async throws -> HTTPAdmission {
        if let outer = IdempotencyContext.current, outer.holds(claim.key, in: self.store) {
            return .execute(Execution(within: outer, runner: self, policy: policy))
        }
        switch try await self.verdict(on: claim, policy: policy) {
        case .execute(let lease):
            return .execute(Execution(runner: self, key: key, lease: lease, policy: policy, markers: markers))
        case .executeUnprotected:
            return .execute(Execution(runner: self, key: key, lease: nil, policy: policy, markers: markers))
        case .replay(let response):
            var answer = HTTPAnswer(replaying: response)
            markers.mark(&answer.head.headerFields, as: .hit)
            return .answer(answer)
        case .refuse(let problem):
            var answer = problem.under(policy).answer
            markers.mark(&answer.head.headerFields)
            return .answer(answer)
        }
    }

    private func refuse(
        _ problem: IdempotencyProblem,
        policy: IdempotencyPolicy,
        markers: MarkerHeaders? = nil
    ) -> HTTPAdmission {
        guard case .answer(let answer) = self.reject(problem, policy: policy, markers: markers) else { return .pass }
        return .answer(answer)
    }
}

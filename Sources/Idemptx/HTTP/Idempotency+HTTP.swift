public import HTTPTypes

/// The steps of a request, for adapters of HTTP servers.
///
/// ``screen(_:)``, then, with scope and body, ``admit(_:scope:)``, then whatever ``Execution`` demands. An adapter
/// translates between these and its server, and decides nothing.
extension Idempotency {
    /// Decides by its head which way a request takes.
    ///
    /// - Parameter head: The request as received.
    /// - Returns: The way to take.
    public func screen(_ head: HTTPRequest) -> Screening {
        let policy = self.effectivePolicy
        guard policy.mode != .off, policy.methods.contains(head.method) else { return .pass }
        do {
            if let key = try KeyHeader.key(in: head.headerFields, maximumLength: policy.maxKeyLength) {
                return .guarded(GuardedRequest(head: head, key: key, policy: policy))
            }
            return policy.required ? self.reject(IdempotencyProblem(.keyMissing), policy: policy) : .pass
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
    /// - Returns: The execution to perform, or the answer to give.
    /// - Throws: `CancellationError` if the task is cancelled before the operation may start. Nothing is claimed then.
    public func admit(_ request: GuardedRequest, scope: Scope) async throws -> HTTPAdmission {
        let (key, policy) = (request.key, request.policy)
        let fingerprint = request.fingerprint.finalize()
        let markers = MarkerHeaders(key: request.keyHeader, fingerprint: fingerprint)
        if let problem = request.bodyProblem { return self.refuse(problem, request, markers: markers) }
        let claim = ClaimRequest(key: key, scope: scope, fingerprint: fingerprint, policy: policy)
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
        _ request: GuardedRequest,
        markers: MarkerHeaders
    ) -> HTTPAdmission {
        guard case .answer(let answer) = self.reject(problem, policy: request.policy, markers: markers) else {
            return .execute(
                Execution(runner: self, key: request.key, lease: nil, policy: request.policy, markers: markers))
        }
        return .answer(answer)
    }
}

import HTTPTypes
import Logging

/// The driver: all steps of a request, for every framework.
extension Idempotency {
    /// Responds to a request: runs its operation, once per key, or replays what it came to.
    ///
    /// This is all that an adapter calls. A request that is not guarded passes to `operation` untouched, with all of its
    /// body, and what that throws is thrown.
    ///
    /// - Parameters:
    ///   - request: The request.
    ///   - adapter: Translates between the framework and this.
    ///   - scope: Finds out whose key it is. What it throws is thrown, and nothing runs; for what
    ///     ``Scope/credentials(in:)`` throws there is a response. While the layer only observes, the request passes unguarded.
    ///   - policy: The policy for this request, to its end; `nil` for ``policy``.
    ///   - operation: The handler. Gets `nil` if the request is not guarded.
    /// - Returns: The response to send.
    /// - Throws: What `scope` throws, what reading the body throws, and what `operation` throws if it is not guarded;
    ///   `CancellationError` if the caller is cancelled before the operation starts. What was claimed is released.
    public func respond<Adapter: HTTPAdapter>(
        to request: Adapter.Request,
        through adapter: Adapter,
        scope: (Adapter.Request) async throws -> Scope,
        policy: IdempotencyPolicy? = nil,
        operation: (Adapter.Request, IdempotencyContext?) async throws -> Adapter.Response
    ) async throws -> Adapter.Response {
        try await self.respond(
            to: request, through: adapter, scope: scope, under: policy.map(SharedPolicy.init) ?? self.sharedPolicy,
            operation: operation)
    }

    /// The same, under a policy that many requests share.
    package func respond<Adapter: HTTPAdapter>(
        to request: Adapter.Request,
        through adapter: Adapter,
        scope: (Adapter.Request) async throws -> Scope,
        under policy: SharedPolicy,
        hooks: ServerHooks = ServerHooks(),
        operation: (Adapter.Request, IdempotencyContext?) async throws -> Adapter.Response
    ) async throws -> Adapter.Response {
        let head = adapter.head(of: request)
        guard policy.mode != .off, policy.methods.contains(head.method) else {
            return try await operation(request, nil)
        }

        var request = request
        let allowance = BodyAllowance(maximum: policy.maxRequestBody, budget: policy.bodyBudget)
        defer { allowance.release() }
        let guarded: GuardedRequest
        do {
            let prepared = try await self.prepare(
                &request, head: head, through: adapter, scope: scope, policy: policy, allowance: allowance)
            guard let prepared else { return try await operation(request, nil) }
            guarded = prepared
        } catch let refusal as Refusal {
            self.telemetry.decided(.rejected, mode: policy.mode)
            guard policy.mode == .enforce else { return try await operation(request, nil) }
            return adapter.assemble(refusal.response(under: policy))
        }

        if let outer = IdempotencyContext.current, outer.holds(guarded.claim.key, in: self.store.identity) {
            // Guarded twice: the outer guard records and marks the response.
            return try await operation(request, outer)
        }
        guard policy.mode == .enforce else {
            return try await self.observe(request, guarded, through: adapter, policy: policy, operation: operation)
        }
        do {
            switch try await self.decide(guarded.claim, key: guarded.key, policy: policy, onWait: hooks.onWait) {
            case .granted(let lease):
                return await self.run(
                    request, guarded, under: lease, through: adapter, policy: policy, on: hooks.executor,
                    operation: operation)
            case .completed(.response(let response)):
                var parts = ResponseParts(replaying: response)
                guarded.markers.mark(&parts.head.headerFields, as: .hit)
                return adapter.assemble(parts)
            case let result: throw IdempotencyProblem(result, policy: policy)
            }
        } catch let problem as IdempotencyProblem {
            return adapter.assemble(Refusal(problem, guarded.markers).response(under: policy))
        }
    }
}

extension Idempotency {
    /// Runs the operation and records its response, in one task of its own, which the caller's cancellation does not reach.
    ///
    /// Without a lease, it runs unprotected.
    @inline(never)
    private func run<Adapter: HTTPAdapter>(
        _ request: Adapter.Request,
        _ guarded: GuardedRequest,
        under lease: Lease?,
        through adapter: Adapter,
        policy: SharedPolicy,
        on executor: (any TaskExecutor)?,
        operation: (Adapter.Request, IdempotencyContext?) async throws -> Adapter.Response
    ) async -> Adapter.Response {
        let context = IdempotencyContext(
            key: guarded.key, storageKey: guarded.claim.key, lease: lease, policy: policy, of: self)
        let markers = guarded.markers
        let parts: ResponseParts = await shielded(on: executor) {
            await IdempotencyContext.$current.withValue(context) {
                do {
                    var parts = adapter.takeApart(try await operation(request, context))
                    if lease != nil { try await parts.collect(upTo: policy.maxResponseBody) }
                    return parts
                } catch is CancellationError where lease?.isLost == true {
                    return nil
                } catch {
                    return await Self.parts(for: error, request, in: context, through: adapter, policy: policy)
                }
            }
        } onStart: { cancel in
            context.runs(cancel: cancel)
        } then: { (parts: ResponseParts?, handover) in
            await self.record(parts, under: lease, in: context, markers: markers, policy: policy, handover)
        }
        return adapter.assemble(parts)
    }

    /// The response to an error.
    ///
    /// Nothing has been sent yet, so that a body that fails is like any other failure.
    private static func parts<Adapter: HTTPAdapter>(
        for error: any Error,
        _ request: Adapter.Request,
        in context: IdempotencyContext,
        through adapter: Adapter,
        policy: SharedPolicy
    ) async -> ResponseParts {
        context.operationThrew(error)
        // Looks alike in every framework.
        if let problem = error as? IdempotencyProblem { return problem.response }
        var parts = adapter.takeApart(adapter.response(to: error, for: request))
        try? await parts.collect(upTo: policy.maxResponseBody)
        guard case .bytes = parts.body else { return ResponseParts(head: HTTPResponse(status: .internalServerError)) }
        return parts
    }

    /// Stores what the operation came to, and only then hands over what is sent.
    ///
    /// There are no parts if another attempt has the key, for which the operation was cancelled.
    private func record(
        _ parts: ResponseParts?,
        under lease: Lease?,
        in context: IdempotencyContext,
        markers: MarkerHeaders,
        policy: SharedPolicy,
        _ handover: Handover<ResponseParts>
    ) async {
        guard let lease else {
            let parts = parts ?? ResponseParts(head: HTTPResponse(status: .internalServerError))
            handover.fulfil(markers.marked(parts, as: .unstored))
            return
        }
        if context.joinedOutcome != nil,
            await self.recordJoined(parts, under: lease, in: context, markers: markers, policy: policy, handover)
        {
            return
        }
        guard let parts else {
            self.end(lease, as: .unstored)
            handover.fulfil(Refusal(.leaseLost, markers).response(under: policy))
            return
        }
        if case .producer(length: nil, let produce) = parts.body {
            let recorder = StreamRecorder(limit: policy.maxResponseBody, time: self.time)
            handover.fulfil(markers.marked(ResponseParts(head: parts.head, body: recorder.sentBody), as: .new))
            let recording = Recording(head: parts.head, context: context, policy: policy, recorder: recorder)
            return await self.recordStream(recording, of: produce, under: lease, policy: policy)
        }
        let (disposition, outcome) = policy.judge(parts.head, parts.bytes, in: context)
        await self.conclude(lease, as: disposition, outcome, policy: policy) { conclusion in
            handover.fulfil(markers.marked(parts, as: conclusion == .unstored ? .unstored : .new))
        }
    }

    /// Stores a stream while it is sent.
    @inline(never)
    private func recordStream(
        _ recording: Recording,
        of produce: @escaping @Sendable (@escaping BodyWriter) async throws -> HTTPFields?,
        under lease: Lease,
        policy: SharedPolicy
    ) async {
        await recording.run(produce) { disposition, outcome, report, atEnd in
            await self.conclude(lease, as: disposition, outcome, policy: policy, report: report, atEnd: atEnd)
        }
    }

    /// Hands over the outcome that the application has stored itself.
    ///
    /// - Returns: `false` if it has stored none after all: its transaction was rolled back.
    @inline(never)
    private func recordJoined(
        _ parts: ResponseParts?,
        under lease: Lease,
        in context: IdempotencyContext,
        markers: MarkerHeaders,
        policy: SharedPolicy,
        _ handover: Handover<ResponseParts>
    ) async -> Bool {
        switch await self.joinedResult(of: lease, in: context) {
        case .nothing: return false
        case .stored(let outcome):
            self.end(lease, as: outcome.conclusion)
            handover.fulfil(markers.marked(self.parts(parts, storedAs: outcome, in: context), as: .new))
        case .unknown:
            self.end(lease, as: .unstored)
            handover.fulfil(Refusal(.storeUnavailable(under: policy), markers).response(under: policy))
        }
        return true
    }

    /// The response to send if the application has stored the outcome itself: the stored one, even if the operation returned
    /// another.
    private func parts(
        _ parts: ResponseParts?, storedAs outcome: Outcome, in context: IdempotencyContext
    ) -> ResponseParts {
        let policy = context.policy
        if let parts, context.hasCommitted || policy.judge(parts.head, parts.bytes, in: context).1 == outcome {
            return parts
        }
        guard case .response(let response) = outcome else {
            return IdempotencyProblem(ClaimResult<Lease>.completed(outcome), policy: policy).response
        }
        return ResponseParts(replaying: response)
    }

    /// Runs the operation as if there were no layer, and records its response beside it.
    private func observe<Adapter: HTTPAdapter>(
        _ request: Adapter.Request,
        _ guarded: GuardedRequest,
        through adapter: Adapter,
        policy: SharedPolicy,
        operation: (Adapter.Request, IdempotencyContext?) async throws -> Adapter.Response
    ) async throws -> Adapter.Response {
        let observation = self.observe(guarded.claim, key: guarded.key, policy: policy)
        let context = IdempotencyContext(
            key: guarded.key, storageKey: guarded.claim.key, lease: nil, policy: policy, of: self)
        var parts: ResponseParts
        do {
            let response = try await IdempotencyContext.$current.withValue(context) {
                try await operation(request, context)
            }
            guard observation != nil else { return response }
            parts = adapter.takeApart(response)
            try await parts.collect(upTo: policy.maxResponseBody)
        } catch {
            let parts = await Self.parts(for: error, request, in: context, through: adapter, policy: policy)
            let (disposition, outcome) = policy.judge(parts.head, parts.bytes, in: context)
            observation?.conclude(as: disposition, outcome)
            throw error
        }
        if case .producer(length: nil, let produce) = parts.body {
            let stream = ObservedStream(head: parts.head, context: context, policy: policy) { disposition, outcome in
                observation?.conclude(as: disposition, outcome)
            }
            parts.body = stream.body(produce)
        } else {
            let (disposition, outcome) = policy.judge(parts.head, parts.bytes, in: context)
            observation?.conclude(as: disposition, outcome)
        }
        return adapter.assemble(parts)
    }
}

extension SharedPolicy {
    /// What becomes of a key, and what is stored, by the response of its operation; there is no body if it was not captured.
    func judge(_ head: HTTPResponse, _ body: [UInt8]?, in context: IdempotencyContext) -> (Disposition, Outcome?) {
        let disposition = context.disposition ?? self.values.disposition(of: head)
        switch disposition {
        case .release, .unknown: return (disposition, nil)
        case .keep:
            if let body, body.count <= self.maxResponseBody { return (.keep, .response(self.stored(head, body))) }
        case .tombstone: break
        }
        return (.tombstone, .tombstone(Tombstone(of: head)))
    }

    private func stored(_ head: HTTPResponse, _ body: [UInt8]) -> StoredResponse {
        StoredResponse(
            status: head.status, headerFields: self.values.headerFilter.kept(head.headerFields), body: body)
    }
}

extension Tombstone {
    init(of head: HTTPResponse) {
        self.init(status: head.status.code, location: head.headerFields[.location])
    }
}

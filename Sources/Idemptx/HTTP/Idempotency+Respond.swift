import HTTPTypes
import Logging

/// The way of a request, for every framework.
extension Idempotency {
    /// Responds to a request: runs its operation, once per key, or replays what it came to.
    ///
    /// This is all that an adapter calls. A request that is not guarded passes to `operation` untouched, with all of its
    /// body, and what that throws is thrown.
    ///
    /// - Parameters:
    ///   - request: The request.
    ///   - adapter: Translates between the framework and this.
    ///   - scope: Finds out whose key it is. What it throws is thrown, and nothing runs; for ``ScopeProblem`` there is a
    ///     response.
    ///   - policy: The policy for this request, to its end; `nil` for ``policy``.
    ///   - operation: The handler. Gets `nil` if the request is not guarded.
    /// - Returns: The response to send.
    /// - Throws: What `scope` throws, what reading the body throws, and what `operation` throws if it is not guarded;
    ///   `CancellationError` if the caller is cancelled before the operation starts. Nothing is claimed then.
    public func respond<Adapter: HTTPAdapter>(
        to request: Adapter.Request,
        through adapter: Adapter,
        scope: (Adapter.Request) async throws -> Scope,
        policy: IdempotencyPolicy? = nil,
        operation: (Adapter.Request, IdempotencyContext?) async throws -> Adapter.Response
    ) async throws -> Adapter.Response {
        let policy = policy ?? self.policy
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
            switch try await self.decide(guarded.claim, key: guarded.key, policy: policy) {
            case .granted(let lease):
                return await self.run(
                    request, guarded, under: lease, through: adapter, policy: policy, operation: operation)
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

/// A request that may not run more than once.
private struct GuardedRequest {
    let key: IdempotencyKey
    let claim: ClaimRequest
    let markers: MarkerHeaders
}

/// The request is refused before anything is claimed for it.
private struct Refusal: Error {
    let problem: IdempotencyProblem
    let markers: MarkerHeaders?

    init(_ problem: IdempotencyProblem, _ markers: MarkerHeaders? = nil) {
        self.problem = problem
        self.markers = markers
    }

    func response(under policy: IdempotencyPolicy) -> ResponseParts {
        var parts = self.problem.under(policy).response
        self.markers?.mark(&parts.head.headerFields)
        return parts
    }
}

// MARK: - Before the claim

extension Idempotency {
    /// Finds out what a request asks for, and under which key.
    ///
    /// - Returns: `nil` if the request passes unguarded.
    /// - Throws: ``Refusal``, or what `scope` and the adapter throw.
    private func prepare<Adapter: HTTPAdapter>(
        _ request: inout Adapter.Request,
        head: HTTPRequest,
        through adapter: Adapter,
        scope: (Adapter.Request) async throws -> Scope,
        policy: IdempotencyPolicy,
        allowance: BodyAllowance
    ) async throws -> GuardedRequest? {
        let keyInHead: IdempotencyKey?
        switch try Self.keyInHead(of: head, policy: policy) {
        case .key(let key): keyInHead = key
        case .inBody: keyInHead = nil
        case .none:
            guard policy.required else { return nil }
            throw Refusal(IdempotencyProblem(.keyMissing))
        case .unsupportedMediaType:
            guard !policy.required else { throw Refusal(keyProblem: .unsupportedMediaType) }
            self.telemetry.keyHasNoPlace()
            return nil
        }
        guard let scope = try await self.scope(of: request, by: scope, policy: policy) else { return nil }

        let keyHeader = policy.keySource.echo(of: head)
        let body = try await self.body(
            of: &request, head: head, through: adapter, keyHeader: keyHeader, allowance: allowance, policy: policy)
        var builder = FingerprintBuilder(
            head: head, recipe: policy.fingerprint, keySource: keyInHead == nil ? policy.keySource : nil)
        builder.update(body)
        let reading = builder.finalize(maximumKeyLength: policy.maxKeyLength)
        let markers = MarkerHeaders(key: keyHeader, fingerprint: reading.fingerprint)
        if let problem = head.problem(withBodyOf: body.count) {
            throw Refusal(IdempotencyProblem(problem), markers)
        }
        guard let key = try keyInHead ?? Self.keyInBody(reading.key) else {
            guard policy.required else { return nil }
            throw Refusal(IdempotencyProblem(.keyMissing))
        }
        let claim = ClaimRequest(key: key, scope: scope, fingerprint: reading.fingerprint, policy: policy)
        return GuardedRequest(key: key, claim: claim, markers: markers)
    }

    private static func keyInHead(of head: HTTPRequest, policy: IdempotencyPolicy) throws(Refusal) -> KeyInHead {
        do {
            return try policy.keySource.key(in: head, maximumLength: policy.maxKeyLength)
        } catch {
            throw Refusal(keyProblem: error)
        }
    }

    private static func keyInBody(
        _ key: Result<IdempotencyKey?, IdempotencyKey.ValidationError>
    ) throws(Refusal) -> IdempotencyKey? {
        do {
            return try key.get()
        } catch {
            throw Refusal(keyProblem: error)
        }
    }

    /// - Returns: `nil` if the scope is not known, and the layer only observes.
    private func scope<Request>(
        of request: Request,
        by scope: (Request) async throws -> Scope,
        policy: IdempotencyPolicy
    ) async throws -> Scope? {
        do {
            return try await scope(request)
        } catch {
            guard policy.mode == .enforce else { return nil }
            guard let problem = error as? ScopeProblem else { throw error }
            self.telemetry.scopeIsUnknown(problem)
            throw Refusal(IdempotencyProblem(.scopeUnknown, reason: problem.rawValue))
        }
    }

    private func body<Adapter: HTTPAdapter>(
        of request: inout Adapter.Request,
        head: HTTPRequest,
        through adapter: Adapter,
        keyHeader: String?,
        allowance: BodyAllowance,
        policy: IdempotencyPolicy
    ) async throws -> [UInt8] {
        let announced = head.headerFields[.contentLength].flatMap { Int($0) } ?? 0
        if announced <= allowance.maximum, let body = try await adapter.readBody(of: &request, within: allowance) {
            return body
        }
        let kind = allowance.refusal ?? .bodyTooLarge
        let retryAfter = kind.isOfTheMoment ? policy.retryAfter() : nil
        throw Refusal(IdempotencyProblem(kind, retryAfter: retryAfter), MarkerHeaders(key: keyHeader))
    }
}

extension Refusal {
    fileprivate init(keyProblem: IdempotencyKey.ValidationError) {
        self.init(IdempotencyProblem(.keyInvalid, reason: keyProblem.rawValue))
    }
}

extension HTTPRequest {
    /// Why the bytes that have come cannot be taken for the whole body: half a request must not be executed.
    fileprivate func problem(withBodyOf size: Int) -> IdempotencyProblem.Kind? {
        // A chunked body has an end of its own (RFC 9112, section 7.1). A middleware that decodes bodies changes their
        // lengths, and not the header; it has seen their end.
        if self.headerFields.contains(.transferEncoding) || self.headerFields.contains(.contentEncoding) { return nil }
        guard let length = self.headerFields[.contentLength].flatMap({ Int($0) }) else {
            // HTTP/2 and later: a server may not tell the end of the stream from the end of the connection.
            return size > 0 ? .lengthRequired : nil
        }
        return size < length ? .bodyIncomplete : nil
    }
}

// MARK: - The operation

extension Idempotency {
    /// Runs the operation and records its response, in one task of its own, which the caller's cancellation does not reach.
    ///
    /// - Parameter lease: `nil` if it runs unprotected.
    private func run<Adapter: HTTPAdapter>(
        _ request: Adapter.Request,
        _ guarded: GuardedRequest,
        under lease: Lease?,
        through adapter: Adapter,
        policy: IdempotencyPolicy,
        operation: (Adapter.Request, IdempotencyContext?) async throws -> Adapter.Response
    ) async -> Adapter.Response {
        let context = IdempotencyContext(
            key: guarded.key, storageKey: guarded.claim.key, lease: lease, mode: policy.mode, time: self.time)
        let markers = guarded.markers
        let parts: ResponseParts = await shielded {
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
            context.onLeaseLoss(cancel)
        } then: { (parts: ResponseParts?, handover) in
            await self.record(parts, under: lease, in: context, markers: markers, policy: policy, handover)
        }
        return adapter.assemble(parts)
    }

    /// The response to an error. Nothing has been sent yet, so that a body that fails is like any other failure.
    private static func parts<Adapter: HTTPAdapter>(
        for error: any Error,
        _ request: Adapter.Request,
        in context: IdempotencyContext,
        through adapter: Adapter,
        policy: IdempotencyPolicy
    ) async -> ResponseParts {
        context.operationThrew(error)
        var parts = adapter.takeApart(adapter.response(to: error, for: request))
        try? await parts.collect(upTo: policy.maxResponseBody)
        guard case .bytes = parts.body else { return ResponseParts(head: HTTPResponse(status: .internalServerError)) }
        return parts
    }

    /// Stores what the operation came to, and only then hands over what is sent.
    ///
    /// - Parameter parts: `nil` if another attempt has the key, for which the operation was cancelled.
    private func record(
        _ parts: ResponseParts?,
        under lease: Lease?,
        in context: IdempotencyContext,
        markers: MarkerHeaders,
        policy: IdempotencyPolicy,
        _ handover: Handover<ResponseParts>
    ) async {
        guard let lease else {
            let parts = parts ?? ResponseParts(head: HTTPResponse(status: .internalServerError))
            handover.fulfil(markers.marked(parts, as: .unstored))
            return
        }
        guard let parts else {
            self.renewer.remove(lease)
            self.telemetry.executed(.unstored)
            handover.fulfil(Refusal(.leaseLost, markers).response(under: policy))
            return
        }
        if case .producer(length: nil, let produce) = parts.body {
            let recorder = StreamRecorder(limit: policy.maxResponseBody)
            handover.fulfil(markers.marked(ResponseParts(head: parts.head, body: recorder.sentBody), as: .new))
            let recording = Recording(head: parts.head, context: context, policy: policy, recorder: recorder)
            return await recording.run(produce) { disposition, outcome, report in
                await self.conclude(lease, as: disposition, outcome, policy: policy, report: report)
            }
        }
        let (disposition, outcome) = policy.judge(parts.head, parts.bytes, in: context)
        await self.conclude(lease, as: disposition, outcome, policy: policy) { conclusion in
            handover.fulfil(markers.marked(parts, as: conclusion == .unstored ? .unstored : .new))
        }
    }

    /// Runs the operation as if there were no layer, and records its response beside it.
    private func observe<Adapter: HTTPAdapter>(
        _ request: Adapter.Request,
        _ guarded: GuardedRequest,
        through adapter: Adapter,
        policy: IdempotencyPolicy,
        operation: (Adapter.Request, IdempotencyContext?) async throws -> Adapter.Response
    ) async throws -> Adapter.Response {
        let observation = self.observe(guarded.claim, key: guarded.key, policy: policy)
        let context = IdempotencyContext(
            key: guarded.key, storageKey: guarded.claim.key, lease: nil, mode: policy.mode, time: self.time)
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
            let recorder = StreamRecorder(limit: policy.maxResponseBody)
            let recording = Recording(head: parts.head, context: context, policy: policy, recorder: recorder)
            startTask {
                await recording.run(produce) { disposition, outcome, report in
                    observation?.conclude(as: disposition, outcome)
                    report(.stored)
                    return .stored
                }
            }
            parts.body = recorder.sentBody
        } else {
            let (disposition, outcome) = policy.judge(parts.head, parts.bytes, in: context)
            observation?.conclude(as: disposition, outcome)
        }
        return adapter.assemble(parts)
    }
}

extension IdempotencyPolicy {
    /// What becomes of a key, and what is stored, by the response of its operation.
    ///
    /// - Parameter body: `nil` if it was not captured.
    func judge(_ head: HTTPResponse, _ body: [UInt8]?, in context: IdempotencyContext) -> (Disposition, Outcome?) {
        let disposition = context.disposition ?? self.disposition(of: head)
        switch disposition {
        case .release, .unknown: return (disposition, nil)
        case .keep:
            if let body, body.count <= self.maxResponseBody { return (.keep, .response(self.stored(head, body))) }
        case .tombstone: break
        }
        return (.tombstone, .tombstone(Tombstone(of: head)))
    }

    private func stored(_ head: HTTPResponse, _ body: [UInt8]) -> StoredResponse {
        StoredResponse(status: head.status, headerFields: self.headerFilter.kept(head.headerFields), body: body)
    }
}

extension Tombstone {
    init(of head: HTTPResponse) {
        self.init(status: head.status.code, location: head.headerFields[.location])
    }
}

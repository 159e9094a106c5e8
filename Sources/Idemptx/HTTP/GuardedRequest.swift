import HTTPTypes

/// A request that may not run more than once.
struct GuardedRequest {
    let key: IdempotencyKey
    let claim: ClaimRequest
    let markers: MarkerHeaders
}

/// The request is refused before anything is claimed for it.
struct Refusal: Error {
    let problem: IdempotencyProblem
    let markers: MarkerHeaders?

    init(_ problem: IdempotencyProblem, _ markers: MarkerHeaders? = nil) {
        self.problem = problem
        self.markers = markers
    }

    func response(under policy: SharedPolicy) -> ResponseParts {
        var parts = self.problem.under(policy).response
        self.markers?.mark(&parts.head.headerFields)
        return parts
    }
}

extension Idempotency {
    /// Finds out what a request asks for, and under which key.
    ///
    /// - Returns: `nil` if the request passes unguarded.
    /// - Throws: ``Refusal``, or what `scope` and the adapter throw.
    func prepare<Adapter: HTTPAdapter>(
        _ request: inout Adapter.Request,
        head: HTTPRequest,
        through adapter: Adapter,
        scope: (Adapter.Request) async throws -> Scope,
        policy: SharedPolicy,
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
            self.telemetry.keyHasNoPlace(onRoute: policy.route)
            return nil
        }
        guard let scope = try await self.scope(of: request, by: scope, policy: policy) else { return nil }

        let keyHeader = policy.keySource.echo(of: head)
        let body = try await self.body(
            of: &request, head: head, through: adapter, keyHeader: keyHeader, allowance: allowance, policy: policy)
        return try self.guarded(head, body, keyInHead: keyInHead, keyHeader: keyHeader, scope: scope, policy: policy)
    }

    /// Key, claim and marker headers of a request whose body has been read; `nil` if it passes unguarded.
    ///
    /// A function of its own, so that the task keeps nothing of it while it waits.
    @inline(never)
    private func guarded(
        _ head: HTTPRequest,
        _ body: [UInt8],
        keyInHead: IdempotencyKey?,
        keyHeader: String?,
        scope: Scope,
        policy: SharedPolicy
    ) throws -> GuardedRequest? {
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

    private static func keyInHead(of head: HTTPRequest, policy: SharedPolicy) throws(Refusal) -> KeyInHead {
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
        policy: SharedPolicy
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
        policy: SharedPolicy
    ) async throws -> [UInt8] {
        let announced = head.headerFields.line(of: .contentLength).flatMap { Int($0) } ?? 0
        if announced <= allowance.maximum, let body = try await adapter.readBody(of: &request, within: allowance) {
            return body
        }
        throw Refusal(IdempotencyProblem(refusing: allowance, under: policy), MarkerHeaders(key: keyHeader))
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
        guard let length = self.headerFields.line(of: .contentLength).flatMap({ Int($0) }) else {
            // HTTP/2 and later: a server may not tell the end of the stream from the end of the connection.
            return size > 0 ? .lengthRequired : nil
        }
        return size < length ? .bodyIncomplete : nil
    }
}

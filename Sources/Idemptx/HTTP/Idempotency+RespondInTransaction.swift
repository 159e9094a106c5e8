extension Idempotency {
    /// Responds to a request like ``respond(to:through:scope:policy:operation:)``, in a transaction that commits what the
    /// operation wrote together with the record of its response; only then the response is sent.
    ///
    /// An operation that throws is rolled back, and so is one whose response is not kept, by the policy or by its own word. A
    /// request that is not guarded runs in a transaction, too. The body of a request is read before the transaction begins,
    /// and has to fit ``IdempotencyPolicy/maxRequestBody`` even if the request is not guarded. The body of a response is made
    /// before the commit if its length is known; a stream is kept as a tombstone.
    ///
    /// - Parameters:
    ///   - request: The request.
    ///   - adapter: Translates between the framework and this.
    ///   - scope: Finds out whose key it is.
    ///   - policy: The policy for this request, to its end; `nil` for ``policy``.
    ///   - store: The store of this instance.
    ///   - operation: The handler. It must not end the transaction. Gets no context if the request is not guarded.
    /// - Returns: The response to send.
    /// - Throws: What the other form throws, and ``StoreError`` with code ``StoreError/Code/misconfigured`` if `store` is
    ///   another one.
    public func respond<Adapter: HTTPAdapter, Store: TransactionJoining>(
        to request: Adapter.Request,
        through adapter: Adapter,
        scope: (Adapter.Request) async throws -> Scope,
        policy: IdempotencyPolicy? = nil,
        in store: Store,
        operation: (Adapter.Request, IdempotencyContext?, Store.Transaction) async throws -> Adapter.Response
    ) async throws -> Adapter.Response {
        try self.check(store)
        let policy = policy.map(SharedPolicy.init) ?? self.sharedPolicy
        return try await self.respond(to: request, through: adapter, scope: scope, under: policy) { request, context in
            var request = request
            let allowance = BodyAllowance(maximum: policy.maxRequestBody, budget: policy.bodyBudget)
            defer { allowance.release() }
            if context == nil {
                // A transaction must not wait for a slow client. The body of a guarded request has been read already.
                guard try await adapter.readBody(of: &request, within: allowance) != nil else {
                    return adapter.assemble(IdempotencyProblem(refusing: allowance, under: policy).response)
                }
            }
            return adapter.assemble(
                try await self.join(store, as: context) { transaction in
                    var parts = adapter.takeApart(try await operation(request, context, transaction))
                    try await parts.collect(upTo: policy.maxResponseBody)
                    return parts
                } judge: { parts in
                    guard let context else { return (.release, nil) }
                    return policy.judge(parts.head, parts.bytes, in: context)
                })
        }
    }
}

public import HTTPTypes

/// Why an operation was neither run to its end nor replayed.
///
/// HTTP clients get it as problem details (RFC 9457); ``Idempotency/run(_:key:scope:fingerprint:operation:)->_`` throws it.
/// Neither form holds a stored fingerprint, another caller's data, an owner token or an address.
public struct IdempotencyProblem: Error, Hashable, Sendable {
    /// The kinds of problems.
    ///
    /// The raw value is the end of the problem's `type`.
    public enum Kind: String, Hashable, Sendable, CaseIterable {
        /// The request needs a key and has none. Send one.
        case keyMissing = "key-missing"
        /// The key breaks a rule; see ``IdempotencyProblem/reason``. Send a proper one.
        case keyInvalid = "key-invalid"
        /// The key was used for another request. Use a new key for a new operation.
        case keyReused = "key-reused"
        /// The first request is still running. Retry with the same key.
        case requestInProgress = "request-in-progress"
        /// The first request ended without an outcome, and the rule is not to run it again. Find out what happened.
        case outcomeUnknown = "outcome-unknown"
        /// The operation is done, and its response was not kept. Fetch the result.
        case responseNotReplayable = "response-not-replayable"
        /// The store cannot be used; nothing was run, or its transaction was not committed. Retry with the same key.
        case storeUnavailable = "store-unavailable"
        /// The body is too large to be fingerprinted; nothing was run.
        case bodyTooLarge = "body-too-large"
        /// The body ended before its announced length; nothing was run.
        case bodyIncomplete = "body-incomplete"
        /// The length of the body was not announced, so that a part of it could pass for the whole; nothing was run.
        case lengthRequired = "length-required"
        /// The server reads too many bodies at the moment; nothing was run. Retry with the same key.
        case bodyBudgetExhausted = "body-budget-exhausted"
        /// It cannot be told whose key it is; nothing was run. The server needs another setting.
        case scopeUnknown = "scope-unknown"

        /// Whether the problem speaks of the moment: a retry with the same key makes sense, and a record of it does not.
        package var isOfTheMoment: Bool {
            switch self {
            case .requestInProgress, .storeUnavailable, .bodyBudgetExhausted: true
            case .keyMissing, .keyInvalid, .keyReused, .outcomeUnknown, .responseNotReplayable, .bodyTooLarge,
                .bodyIncomplete, .lengthRequired, .scopeUnknown:
                false
            }
        }
    }

    /// What the problem is.
    public let kind: Kind

    /// In how many seconds a retry makes sense.
    public let retryAfter: Int?

    /// Which rule an invalid key breaks, or why a scope is unknown; <doc:Problems> lists them.
    public let reason: String?

    /// The status code of a response that was not kept.
    package let originalStatus: Int?

    /// Where the result of a response that was not kept is.
    package let location: String?

    private var typeBase = Self.defaultTypeBase

    package init(
        _ kind: Kind,
        retryAfter: Int? = nil,
        reason: String? = nil,
        originalStatus: Int? = nil,
        location: String? = nil
    ) {
        self.kind = kind
        self.retryAfter = retryAfter
        self.reason = reason
        self.originalStatus = originalStatus
        self.location = location
    }

    /// The operation was cancelled while it ran, because another attempt has the key.
    static let leaseLost = IdempotencyProblem(.requestInProgress, retryAfter: 1)

    /// The store cannot be used, or did not say in time whether a transaction was committed.
    static func storeUnavailable(under policy: SharedPolicy) -> IdempotencyProblem {
        IdempotencyProblem(.storeUnavailable, retryAfter: policy.values.retryAfter()).under(policy)
    }

    /// Why a body was not read to its end.
    init(refusing allowance: BodyAllowance, under policy: SharedPolicy) {
        let kind = allowance.refusal ?? .bodyTooLarge
        self.init(kind, retryAfter: kind.isOfTheMoment ? policy.values.retryAfter() : nil)
        self.typeBase = policy.problemTypeBase
    }

    /// Why a claim was not granted, and there is nothing to replay.
    init<Grant>(_ result: ClaimResult<Grant>, policy: SharedPolicy) {
        switch result {
        case .inProgress(let remainingLease):
            self.init(.requestInProgress, retryAfter: policy.values.retryAfter(within: remainingLease))
        case .mismatch: self.init(.keyReused)
        case .unknown: self.init(.outcomeUnknown)
        case .completed(let outcome):
            let tombstone = outcome.tombstone
            self.init(.responseNotReplayable, originalStatus: tombstone.status, location: tombstone.location)
        case .granted: self.init(.requestInProgress, retryAfter: policy.values.retryAfter())
        }
        self.typeBase = policy.problemTypeBase
    }

    /// What `type` starts with unless a policy says otherwise.
    package static let defaultTypeBase = "urn:idemptx:problem:"

    /// The problem with a type as `policy` demands it.
    package func under(_ policy: SharedPolicy) -> IdempotencyProblem {
        var problem = self
        problem.typeBase = policy.problemTypeBase
        return problem
    }

    /// The `type` of the problem details (RFC 9457, section 3.1.1).
    package var type: String { self.typeBase + self.kind.rawValue }

    /// The status of the response.
    public var status: HTTPResponse.Status {
        switch self.kind {
        case .keyMissing, .keyInvalid, .bodyIncomplete: .badRequest
        case .keyReused: .unprocessableContent
        case .requestInProgress, .outcomeUnknown, .responseNotReplayable: .conflict
        case .storeUnavailable, .bodyBudgetExhausted: .serviceUnavailable
        case .bodyTooLarge: .contentTooLarge
        case .lengthRequired: .lengthRequired
        case .scopeUnknown: .internalServerError
        }
    }

    /// The same sentence for every problem of a kind.
    package var title: String {
        switch self.kind {
        case .keyMissing: "The idempotency key is missing"
        case .keyInvalid: "The idempotency key is invalid"
        case .keyReused: "The idempotency key was used with a different request"
        case .requestInProgress: "A request with this idempotency key is still in progress"
        case .outcomeUnknown: "The outcome of the original request is unknown"
        case .responseNotReplayable: "The original request completed; its response was not kept"
        case .storeUnavailable: "Idempotency store is unavailable"
        case .bodyTooLarge: "The request body is too large for idempotent processing"
        case .bodyIncomplete: "The request body is incomplete"
        case .lengthRequired: "The request body needs a Content-Length"
        case .bodyBudgetExhausted: "The server reads too many request bodies at the moment"
        case .scopeUnknown: "It cannot be told whose idempotency key this is"
        }
    }

    /// The problem as a response, with `Cache-Control: no-store` and, where a retry makes sense, `Retry-After`.
    public var response: ResponseParts {
        var details = ProblemDetails(type: self.type, title: self.title, status: self.status)
        details.reason = self.reason
        details.retryAfter = self.retryAfter
        details.originalStatus = self.originalStatus
        details.location = self.location
        return details.response
    }
}

extension IdempotencyProblem: CustomStringConvertible {
    /// The title.
    public var description: String { self.title }
}

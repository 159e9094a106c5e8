import Idemptx

/// A call of the store contract as a message.
enum StoreCall: Sendable {
    /// What is known of a claim.
    struct Holder: Sendable {
        let key: StorageKey
        let owner: OwnerToken
        let attempt: Int
        let retention: ClaimRetention

        init(_ claim: borrowing Claim) {
            self.key = claim.key
            self.owner = claim.owner
            self.attempt = claim.attempt
            self.retention = claim.retention
        }
    }

    case claim(ClaimRequest, notAfter: Moment?)
    case renew(Holder, lease: Duration)
    case complete(Holder, Outcome, keyTTL: Duration)
    case release(Holder)

    var key: StorageKey {
        switch self {
        case .claim(let request, _): request.key
        case .renew(let holder, _), .complete(let holder, _, _), .release(let holder): holder.key
        }
    }

    var owner: OwnerToken {
        switch self {
        case .claim(let request, _): request.owner
        case .renew(let holder, _), .complete(let holder, _, _), .release(let holder): holder.owner
        }
    }

    var name: String {
        switch self {
        case .claim: "claim"
        case .renew(_, let lease): lease <= .zero ? "renew to the end" : "renew"
        case .complete: "complete"
        case .release: "release"
        }
    }
}

/// What the store replies to a call.
enum StoreReply: Sendable {
    case claim(ClaimResult<ClaimGrant>)
    case isDone(Bool)

    var description: String {
        switch self {
        case .claim(.granted(let grant)):
            grant.unknownAttempt == nil
                ? "granted as \(grant.attempt)" : "granted as \(grant.attempt), after an unknown one"
        case .claim(.completed(let outcome)):
            Receipt(of: outcome).map { "completed by execution \($0.execution)" } ?? "completed"
        case .claim(.inProgress(let lease)): "in progress for \(lease.milliseconds) ms"
        case .claim(.mismatch): "mismatch"
        case .claim(.unknown): "unknown"
        case .isDone(let isDone): isDone ? "done" : "refused"
        }
    }
}

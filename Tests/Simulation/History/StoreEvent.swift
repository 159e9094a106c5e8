import Idemptx

/// A change of a record.
struct StoreEvent: Sendable {
    enum Kind: String, Sendable {
        case granted
        /// Granted after an attempt whose outcome is unknown.
        case tookOver
        case renewed
        case completed
        case released
        /// The store has lost a write.
        case forgotten
    }

    let kind: Kind
    let key: StorageKey
    /// Who made the call; 0 is nobody.
    let process: Int
    /// Its place among all changes; several can happen at one moment.
    var number = 0
    var at = Moment.zero
    var owner: OwnerToken?
    var attempt = 0
    var fingerprint: Fingerprint?
    /// The end of the lease from now on, and of the one before.
    var leaseEnd: Moment?
    var endOfLeaseBefore: Moment?
    /// When the record ceases to exist.
    var expires = Moment.distantFuture
    /// The stored response.
    var receipt: Receipt?

    init(_ kind: Kind, key: StorageKey, process: Int) {
        self.kind = kind
        self.key = key
        self.process = process
    }

    init(_ call: StoreCall, before: IdempotencyRecord?, after: IdempotencyRecord?, process: Int) {
        let kind: Kind =
            switch call {
            case .claim: after?.unknownSince == nil ? .granted : .tookOver
            case .renew: .renewed
            case .complete: .completed
            case .release: .released
            }
        self.init(kind, key: call.key, process: process)
        self.owner = call.owner
        self.attempt = (after ?? before)?.attempt ?? 0
        self.fingerprint = after?.fingerprint
        self.endOfLeaseBefore = before?.leaseEnd
        self.leaseEnd = after?.leaseEnd
        if let after { self.expires = Moment(after.expires) }
        if case .completed(let outcome)? = after?.state { self.receipt = Receipt(of: outcome) }
    }
}

extension IdempotencyRecord {
    /// The end of the lease of the attempt that owns the record, if one does.
    var leaseEnd: Moment? {
        guard case .claimed(let leaseEnd) = self.state else { return nil }
        return Moment(leaseEnd)
    }
}

extension Moment {
    /// The same moment on the clock of the store.
    init(_ timestamp: Timestamp) {
        self.init(milliseconds: Int(min(timestamp.milliseconds, Int64(Moment.distantFuture.milliseconds))))
    }
}

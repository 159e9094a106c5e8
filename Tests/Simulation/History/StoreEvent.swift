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
        case releasedByOperator
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

/// By how much the clock of the store is ahead of the simulation's: no process may take it for its own.
private let leadOfStoreClock: Int64 = 86_400_000

extension Moment {
    /// When the clock of the store shows a time.
    init(_ timestamp: Timestamp) {
        let milliseconds = timestamp.milliseconds - leadOfStoreClock
        self.init(milliseconds: Int(min(milliseconds, Int64(Moment.distantFuture.milliseconds))))
    }
}

extension Timestamp {
    /// What the clock of the store shows at a moment.
    init(onStoreClock moment: Moment) {
        self.init(milliseconds: Int64(moment.milliseconds) + leadOfStoreClock)
    }
}

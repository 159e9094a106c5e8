import HTTPTypes
import Idemptx
import IdemptxTesting
import Synchronization
import Testing

/// A law that cannot fail proves nothing: stores with one mistake each have to be caught.
@Suite("The conformance suite")
struct MutantStoreTests {
    @Test("catches a store with a mistake", arguments: MutantStore.Mistake.allCases)
    func catches(mistake: MutantStore.Mistake) async throws {
        await withKnownIssue("A store with a mistake breaks a law") {
            try await StoreConformance { MutantStore(mistake, clock: $0) }.runAll()
        }
    }

    @Test("passes the same store without a mistake")
    func passes() async throws {
        try await StoreConformance { MutantStore(nil, clock: $0) }.runAll()
    }
}

/// A simple store that can be told to make one of the mistakes that real ones have made.
final class MutantStore: IdempotencyStore {
    enum Mistake: CaseIterable {
        /// A paused owner overwrites its successor's outcome.
        case completesWithoutOwner
        case releasesWithoutOwner
        case renewsWithoutOwner
        /// A different request is told to wait instead of being refused.
        case looksAtStateBeforeFingerprint
        case ignoresFingerprint
        /// The outcome lives no longer than the claim would have.
        case forgetsTTLOnCompletion
        case neverExpires
        /// A crash leaves no trace.
        case dropsRecordWithLease
        case keepsTTLOnRenewal
        /// Two claims can both find nothing.
        case getsThenSets
        case doesNotKnowOwnToken
        case countsNoReruns
        case alwaysReruns
        case overwritesOnSecondCompletion
        case joinsRepeatedHeaders
        case releasesCompleted
        case swallowsOutcome
        case sharesOneRecord
        case neverHints
        /// A claim that arrives after its timeout is granted.
        case grantsLateClaims
        /// The same attempt number is given out twice.
        case forgetsReleasedAttempts
        /// The same, when a claim is released whose reply was lost.
        case believesTheNumberOfAClaim
        case countsFreeKeysFromOne
        case comparesFreeRecords
        /// After a day, an operation of unknown outcome runs again.
        case letsUnknownOutcomesExpire
        case forgetsTheRuleOnRenewal
        case keepsUnknownOutcomesForGood
        case hidesUnknownAttempts
        case keepsALeaseOfNoLength
    }

    private let mistake: Mistake?
    private let time: TimeSource
    private let hub = ChangeHub.shared
    private let records = Mutex<[StorageKey: IdempotencyRecord]>([:])

    init(_ mistake: Mistake?, clock: ManualClock) {
        self.mistake = mistake
        self.time = TimeSource(clock)
    }

    private func apply<Result>(
        _ key: StorageKey,
        _ transition: (IdempotencyRecord?, Timestamp) -> Transition<Result>
    ) -> Result {
        let key = self.mistake == .sharesOneRecord ? Self.sharedKey : key
        return self.records.withLock { records in
            var record = records[key]
            if self.mistake == .neverExpires { record?.expires = Timestamp(milliseconds: .max) }
            let step = transition(record, self.time.now)
            step.change.apply(to: &records[key])
            return step.result
        }
    }

    private static let sharedKey =
        StorageKey(bytes: Array(repeating: 0 as UInt8, count: 32))
        ?? { preconditionFailure("A storage key has 32 bytes") }()

    func claim(_ request: ClaimRequest) async throws -> ClaimResult<Claim> {
        if let timeout = request.timeout, timeout < .zero, self.mistake != .grantsLateClaims {
            throw StoreError(.unavailable, "Too late.")
        }
        if self.mistake == .getsThenSets, self.records.withLock({ $0[request.key] }) == nil {
            await Task.yield()
            self.records.withLock { $0[request.key] = nil }
        }
        let result = self.apply(request.key) { record, now in self.claim(record, request, now: now) }
        return result.map { grant in
            var grant = grant
            if self.mistake == .hidesUnknownAttempts { grant.unknownAttempt = nil }
            return Claim(granting: request, grant)
        }
    }

    private func claim(
        _ record: IdempotencyRecord?,
        _ original: ClaimRequest,
        now: Timestamp
    ) -> Transition<ClaimResult<ClaimGrant>> {
        var (record, request) = (record, original)
        switch self.mistake {
        case .looksAtStateBeforeFingerprint:
            if case .claimed(let leaseEnd) = record?.state, now < leaseEnd { request.comparesFingerprint = false }
        case .ignoresFingerprint: request.comparesFingerprint = false
        case .dropsRecordWithLease:
            request.keyTTL = request.lease
            request.unresolvedRetention = .zero
        case .letsUnknownOutcomesExpire: request.unresolvedRetention = request.keyTTL
        case .keepsUnknownOutcomesForGood: request.unresolvedRetention = nil
        case .comparesFreeRecords:
            if case .free = record?.state, record?.fingerprint.disagrees(with: request.fingerprint) == true {
                return Transition(.mismatch)
            }
        case .countsFreeKeysFromOne: if case .free = record?.state { record = nil }
        case .doesNotKnowOwnToken where record?.owner == request.owner: record?.owner = OwnerToken()
        case .countsNoReruns: record?.attempt = 0
        case .alwaysReruns: request.onAbandoned = .rerun
        default: break
        }
        return RecordTransitions.claim(record, request, now: now)
    }

    func renew(_ claim: borrowing Claim, lease: Duration) async throws -> Bool {
        let owner = claim.owner
        var retention = claim.retention
        if self.mistake == .keepsTTLOnRenewal { retention.keyTTL = lease }
        if self.mistake == .forgetsTheRuleOnRenewal { retention.onAbandoned = .rerun }
        let (kept, least) = (retention, self.mistake == .keepsALeaseOfNoLength ? Duration.seconds(1) : lease)
        let isRenewed = self.apply(claim.key) { record, now in
            let owner = self.mistake == .renewsWithoutOwner ? record?.owner ?? owner : owner
            return RecordTransitions.renew(record, owner: owner, lease: max(lease, least), retention: kept, now: now)
        }
        if isRenewed && lease <= .zero { self.hub.announce(claim.key, in: self.identity) }
        return isRenewed
    }

    func complete(_ claim: borrowing Claim, with outcome: Outcome, keyTTL: Duration) async throws -> Bool {
        let owner = claim.owner
        let isStored = self.apply(claim.key) { record, now in
            self.complete(record, owner: owner, outcome: outcome, keyTTL: keyTTL, now: now)
        }
        if isStored && self.mistake != .neverHints { self.hub.announce(claim.key, in: self.identity) }
        return isStored
    }

    private func complete(
        _ original: IdempotencyRecord?,
        owner: OwnerToken,
        outcome: Outcome,
        keyTTL: Duration,
        now: Timestamp
    ) -> Transition<Bool> {
        var (record, outcome, owner, keyTTL) = (original, outcome, owner, keyTTL)
        switch self.mistake {
        case .completesWithoutOwner: owner = record?.owner ?? owner
        case .forgetsTTLOnCompletion: keyTTL = record.map { now.duration(to: $0.expires) } ?? keyTTL
        case .overwritesOnSecondCompletion where record?.owner == owner: record?.state = .claimed(leaseEnd: now)
        case .swallowsOutcome: outcome = .tombstone(Tombstone(status: 200))
        case .joinsRepeatedHeaders:
            if case .response(var response) = outcome {
                var joined = HTTPFields()
                for field in response.headerFields { joined[field.name] = response.headerFields[field.name] }
                response.headerFields = joined
                outcome = .response(response)
            }
        default: break
        }
        return RecordTransitions.complete(record, owner: owner, outcome: outcome, keyTTL: keyTTL, now: now)
    }

    func release(_ claim: borrowing Claim) async throws -> Bool {
        let (owner, keyTTL) = (claim.owner, claim.keyTTL)
        let believes = self.mistake == .believesTheNumberOfAClaim && claim.attempt == 1
        let forgets = believes || self.mistake == .forgetsReleasedAttempts
        let isReleased = self.apply(claim.key) { original, now in
            var record = original
            if self.mistake == .releasesCompleted { record?.state = .claimed(leaseEnd: now) }
            let owner = self.mistake == .releasesWithoutOwner ? record?.owner ?? owner : owner
            let step = RecordTransitions.release(record, owner: owner, keyTTL: keyTTL, now: now)
            guard forgets, step.result else { return step }
            return Transition(true, .remove)
        }
        if isReleased { self.hub.announce(claim.key, in: self.identity) }
        return isReleased
    }

    func changes(of key: StorageKey) -> AsyncStream<Void> {
        self.hub.changes(of: key, in: self.identity)
    }
}

import HTTPTypes
import Idemptx
import Testing

/// One test per cell of the table in the design, and one per arrow of its diagram.
@Suite("The life of a record")
struct RecordTransitionsTests {
    private let start = Timestamp(milliseconds: 1_000_000)
    private let mine = OwnerToken()
    private let theirs = OwnerToken()
    private let fingerprint = Fingerprint(ofBytes: [1])
    private let other = Fingerprint(ofBytes: [2])
    private let outcome = Outcome.response(StoredResponse(status: .created, body: [1, 2, 3]))

    private func time(_ seconds: Int64) -> Timestamp { self.start.advanced(by: .seconds(seconds)) }

    private func request(
        _ fingerprint: Fingerprint? = nil,
        compares: Bool = true,
        onAbandoned: UnknownOutcomeRule.Kind = .rerun
    ) -> ClaimRequest {
        ClaimRequest(
            key: StorageKey(scope: .unscoped, key: self.key), owner: self.mine,
            fingerprint: fingerprint ?? self.fingerprint, comparesFingerprint: compares, lease: .seconds(30),
            keyTTL: .seconds(3600), onAbandoned: onAbandoned)
    }

    private let key: IdempotencyKey

    init() throws {
        self.key = try IdempotencyKey("k")
    }

    /// Claimed at the start, by `owner`, until 30 s later.
    private func claimed(by owner: OwnerToken, attempt: Int = 1) -> IdempotencyRecord {
        IdempotencyRecord(
            fingerprint: self.fingerprint, owner: owner, attempt: attempt, created: self.start,
            expires: self.time(3600), state: .claimed(leaseEnd: self.time(30)))
    }

    private func completed(by owner: OwnerToken) -> IdempotencyRecord {
        var record = self.claimed(by: owner)
        record.state = .completed(self.outcome)
        return record
    }

    private func mineClaimed(
        at seconds: Int64,
        attempt: Int,
        created: Int64 = 0,
        _ fingerprint: Fingerprint? = nil,
        isKept: Bool = false,
        unknownSince: Int64? = nil
    ) -> IdempotencyRecord {
        IdempotencyRecord(
            fingerprint: fingerprint ?? self.fingerprint, owner: self.mine, attempt: attempt,
            created: self.time(created), expires: isKept ? .distantFuture : self.time(seconds + 3600),
            unknownSince: unknownSince.map { self.time($0) },
            state: .claimed(leaseEnd: self.time(seconds + 30)))
    }

    private func free(attempt: Int, expires seconds: Int64) -> IdempotencyRecord {
        var record = self.claimed(by: self.theirs, attempt: attempt)
        record.state = .free
        record.expires = self.time(seconds)
        return record
    }

    // MARK: Claims

    @Test("Absent: granted as attempt 1")
    func absent() {
        let step = RecordTransitions.claim(nil, self.request(), now: self.time(0))
        #expect(step.result == .attempt(1))
        #expect(step.change == .write(self.mineClaimed(at: 0, attempt: 1)))
    }

    @Test("Past keyTTL: granted as attempt 1, whatever was there", arguments: [true, false], [true, false])
    func expired(isCompleted: Bool, agrees: Bool) {
        let record = isCompleted ? self.completed(by: self.theirs) : self.claimed(by: self.theirs, attempt: 7)
        let fingerprint = agrees ? self.fingerprint : self.other
        let step = RecordTransitions.claim(
            record, self.request(fingerprint, onAbandoned: .refuse), now: self.time(3600))
        #expect(step.result == .attempt(1))
        #expect(
            step.change == .write(self.mineClaimed(at: 3600, attempt: 1, created: 3600, fingerprint, isKept: true)))
    }

    @Test("Claimed by another, lease running, same fingerprint: in progress")
    func running() {
        let step = RecordTransitions.claim(self.claimed(by: self.theirs), self.request(), now: self.time(12))
        #expect(step.result == .inProgress(remainingLease: .seconds(18)))
        #expect(step.change == .none)
    }

    @Test("Claimed by another, lease running, other fingerprint: mismatch")
    func runningMismatch() {
        let step = RecordTransitions.claim(self.claimed(by: self.theirs), self.request(self.other), now: self.time(12))
        #expect(step.result == .mismatch)
        #expect(step.change == .none)
    }

    @Test("Claimed with the same token: granted again, as the same attempt", arguments: [12, 29, 30, 1000] as [Int64])
    func ownToken(seconds: Int64) {
        let record = self.claimed(by: self.mine, attempt: 3)
        for rule in UnknownOutcomeRule.Kind.allCases {
            let step = RecordTransitions.claim(record, self.request(onAbandoned: rule), now: self.time(seconds))
            #expect(step.result == .attempt(3))
            #expect(step.change == .write(self.mineClaimed(at: seconds, attempt: 3, isKept: rule != .rerun)))
        }
    }

    @Test("A repeated claim is told of the unknown attempt before it again")
    func ownTokenAfterUnknown() {
        let record = self.mineClaimed(at: 40, attempt: 2, unknownSince: 30)
        let step = RecordTransitions.claim(record, self.request(), now: self.time(41))
        let before = UnknownAttempt(attempt: 1, created: self.time(0), leaseEnd: self.time(30))
        #expect(step.result == .attempt(2, after: before))
        #expect(step.change == .write(self.mineClaimed(at: 41, attempt: 2, unknownSince: 30)))
    }

    @Test("Free: granted to any request, as the next attempt: its number must not repeat", arguments: [true, false])
    func claimsFree(agrees: Bool) {
        let record = self.free(attempt: 4, expires: 3600)
        for rule in UnknownOutcomeRule.Kind.allCases {
            let request = self.request(agrees ? nil : self.other, onAbandoned: rule)
            let step = RecordTransitions.claim(record, request, now: self.time(40))
            #expect(step.result == .attempt(5))
            let expected = self.mineClaimed(
                at: 40, attempt: 5, created: 40, agrees ? nil : self.other, isKept: rule != .rerun)
            #expect(step.change == .write(expected))
        }
        #expect(RecordTransitions.claim(record, self.request(), now: self.time(3600)).result == .attempt(1))
    }

    @Test("An unknown outcome expires only under the rule to rerun, or after its retention")
    func unknownStays() {
        func expiry(_ change: (inout ClaimRequest) -> Void) -> Timestamp? {
            var request = self.request()
            change(&request)
            guard case .write(let record) = RecordTransitions.claim(nil, request, now: self.time(0)).change else {
                return nil
            }
            return record.expires
        }
        #expect(expiry { $0.onAbandoned = .rerun } == self.time(3600))
        for rule in [UnknownOutcomeRule.Kind.refuse, .recover] {
            #expect(expiry { $0.onAbandoned = rule } == .distantFuture)
            // Thirty seconds of lease come before.
            let bounded = expiry { request in
                request.onAbandoned = rule
                request.unresolvedRetention = .seconds(100)
            }
            #expect(bounded == self.time(130))
        }
    }

    @Test("Claimed with the same token, other fingerprint: mismatch")
    func ownTokenMismatch() {
        let step = RecordTransitions.claim(self.claimed(by: self.mine), self.request(self.other), now: self.time(12))
        #expect(step.result == .mismatch)
        #expect(step.change == .none)
    }

    @Test("Lease over, rule to rerun or to recover: the next attempt", arguments: [30, 31, 3599] as [Int64])
    func nextAttempt(seconds: Int64) {
        let record = self.claimed(by: self.theirs, attempt: 2)
        let before = UnknownAttempt(attempt: 2, created: self.time(0), leaseEnd: self.time(30))
        for rule in [UnknownOutcomeRule.Kind.rerun, .recover] {
            let step = RecordTransitions.claim(record, self.request(onAbandoned: rule), now: self.time(seconds))
            #expect(step.result == .attempt(3, after: before))
            let expected = self.mineClaimed(
                at: seconds, attempt: 3, isKept: rule == .recover, unknownSince: 30)
            #expect(step.change == .write(expected))
        }
    }

    @Test("Lease over, rule to refuse: the outcome is unknown, and nothing changes")
    func refusal() {
        let step = RecordTransitions.claim(
            self.claimed(by: self.theirs), self.request(onAbandoned: .refuse), now: self.time(30))
        #expect(step.result == .unknown)
        #expect(step.change == .none)
    }

    @Test("Lease over, other fingerprint: mismatch", arguments: UnknownOutcomeRule.Kind.allCases)
    func mismatchOfUnknownOutcome(rule: UnknownOutcomeRule.Kind) {
        let step = RecordTransitions.claim(
            self.claimed(by: self.theirs), self.request(self.other, onAbandoned: rule), now: self.time(31))
        #expect(step.result == .mismatch)
        #expect(step.change == .none)
    }

    @Test("Completed, same fingerprint: replay")
    func replay() {
        for owner in [self.mine, self.theirs] {
            let step = RecordTransitions.claim(self.completed(by: owner), self.request(), now: self.time(31))
            #expect(step.result == .completed(self.outcome))
            #expect(step.change == .none)
        }
    }

    @Test("Completed, other fingerprint: mismatch")
    func completedMismatch() {
        let step = RecordTransitions.claim(self.completed(by: self.theirs), self.request(self.other), now: self.time(1))
        #expect(step.result == .mismatch)
        #expect(step.change == .none)
    }

    @Test("Without comparison, another fingerprint is like the same")
    func notComparing() {
        let request = self.request(self.other, compares: false)
        let running = RecordTransitions.claim(self.claimed(by: self.theirs), request, now: self.time(12))
        #expect(running.result == .inProgress(remainingLease: .seconds(18)))
        #expect(
            RecordTransitions.claim(self.completed(by: self.theirs), request, now: self.time(12)).result
                == .completed(self.outcome))
        let rerun = RecordTransitions.claim(self.claimed(by: self.theirs), request, now: self.time(30))
        let before = UnknownAttempt(attempt: 1, created: self.time(0), leaseEnd: self.time(30))
        #expect(rerun.result == .attempt(2, after: before))
    }

    @Test("A record does not expire before its lease, however short keyTTL is")
    func shortTTL() {
        var request = self.request()
        request.keyTTL = .seconds(1)
        guard case .write(let record) = RecordTransitions.claim(nil, request, now: self.time(0)).change else {
            Issue.record("A claim writes a record")
            return
        }
        #expect(record.expires == self.time(30))
    }

    // MARK: Renewals

    private func renew(
        _ record: IdempotencyRecord?,
        by owner: OwnerToken,
        lease: Duration = .seconds(30),
        rule: UnknownOutcomeRule.Kind = .rerun,
        at seconds: Int64
    ) -> Transition<Bool> {
        let retention = ClaimRetention(keyTTL: .seconds(3600), onAbandoned: rule)
        return RecordTransitions.renew(
            record, owner: owner, lease: lease, retention: retention, now: self.time(seconds))
    }

    @Test("A lease of no length ends now, and the record stays as long as its rule says")
    func renewsToUnknown() {
        for (rule, expires) in [
            (UnknownOutcomeRule.Kind.rerun, self.time(3610)), (.refuse, .distantFuture), (.recover, .distantFuture),
        ] {
            let step = self.renew(self.claimed(by: self.mine), by: self.mine, lease: .zero, rule: rule, at: 10)
            var expected = self.claimed(by: self.mine)
            expected.state = .claimed(leaseEnd: self.time(10))
            expected.expires = expires
            #expect(step.result)
            #expect(step.change == .write(expected))
            let request = self.request(onAbandoned: .refuse)
            var stranger = request
            stranger.owner = OwnerToken()
            #expect(RecordTransitions.claim(expected, stranger, now: self.time(10)).result == .unknown)
        }
    }

    @Test("The owner renews, also after its lease", arguments: [0, 10, 30, 3599] as [Int64])
    func renews(seconds: Int64) {
        let step = self.renew(self.claimed(by: self.mine, attempt: 4), by: self.mine, at: seconds)
        #expect(step.result)
        #expect(step.change == .write(self.mineClaimed(at: seconds, attempt: 4)))
    }

    @Test("Only the owner renews, and only while its record is claimed")
    func doesNotRenew() {
        let records = [
            self.claimed(by: self.theirs), self.completed(by: self.mine), self.free(attempt: 2, expires: 3600), nil,
        ]
        for record in records {
            let step = self.renew(record, by: self.mine, at: 10)
            #expect(!step.result)
            #expect(step.change == .none)
        }
        #expect(!self.renew(self.claimed(by: self.mine), by: self.mine, at: 3600).result)
    }

    // MARK: Completion

    private func complete(
        _ record: IdempotencyRecord?,
        by owner: OwnerToken,
        _ outcome: Outcome? = nil,
        at seconds: Int64
    ) -> Transition<Bool> {
        RecordTransitions.complete(
            record, owner: owner, outcome: outcome ?? self.outcome, keyTTL: .seconds(60), now: self.time(seconds))
    }

    @Test("The owner completes, also after its lease; keyTTL counts from then", arguments: [5, 30, 3599] as [Int64])
    func completes(seconds: Int64) {
        let step = self.complete(self.claimed(by: self.mine, attempt: 2), by: self.mine, at: seconds)
        var expected = self.claimed(by: self.mine, attempt: 2)
        expected.state = .completed(self.outcome)
        expected.expires = self.time(seconds + 60)
        #expect(step.result)
        #expect(step.change == .write(expected))
    }

    @Test("The owner completes again: the same result, and nothing changes")
    func completesAgain() {
        let step = self.complete(
            self.completed(by: self.mine), by: self.mine, .tombstone(Tombstone(status: 500)), at: 10)
        #expect(step.result)
        #expect(step.change == .none)
    }

    @Test("Only the owner completes, and only while there is a record")
    func doesNotComplete() {
        var released = self.claimed(by: self.mine)
        released.state = .free
        for record in [self.claimed(by: self.theirs), self.completed(by: self.theirs), released, nil] {
            let step = self.complete(record, by: self.mine, at: 10)
            #expect(!step.result)
            #expect(step.change == .none)
        }
        #expect(!self.complete(self.claimed(by: self.mine), by: self.mine, at: 3600).result)
    }

    // MARK: Release

    @Test("The owner releases, also after its lease", arguments: [5, 30, 3599] as [Int64])
    func releases(seconds: Int64) {
        let step = self.release(self.claimed(by: self.mine), at: seconds)
        #expect(step.result)
        #expect(step.change == .remove)
    }

    private func release(_ record: IdempotencyRecord?, at seconds: Int64) -> Transition<Bool> {
        RecordTransitions.release(record, owner: self.mine, keyTTL: .seconds(60), now: self.time(seconds))
    }

    @Test("What a later attempt releases is free, and its number stays: the first may still be running")
    func releaseLeavesTheNumber() {
        let step = self.release(self.claimed(by: self.mine, attempt: 2), at: 30)
        var expected = self.claimed(by: self.mine, attempt: 2)
        expected.state = .free
        expected.expires = self.time(90)
        #expect(step.result)
        #expect(step.change == .write(expected))
        #expect(!self.release(expected, at: 31).result)
    }

    @Test("Only the owner releases, and only while its record is claimed")
    func doesNotRelease() {
        for record in [self.claimed(by: self.theirs), self.completed(by: self.mine), nil] {
            let step = self.release(record, at: 5)
            #expect(!step.result)
            #expect(step.change == .none)
        }
        #expect(!self.release(self.claimed(by: self.mine), at: 3600).result)
    }

    // MARK: Operators

    @Test("An operator releases what is unknown, what runs only by force, and nothing else; the number stays")
    func operatorReleases() {
        let running = self.claimed(by: self.theirs)
        func release(_ record: IdempotencyRecord?, force: Bool, at seconds: Int64) -> Transition<OperatorResult> {
            RecordTransitions.operatorRelease(record, force: force, keyTTL: .seconds(60), now: self.time(seconds))
        }
        #expect(release(running, force: false, at: 10).result == .leaseRunning(remaining: .seconds(20)))
        #expect(release(running, force: false, at: 10).change == .none)
        #expect(release(running, force: true, at: 10).result == .done)
        #expect(release(running, force: false, at: 30).result == .done)
        #expect(release(running, force: false, at: 30).change == .write(self.free(attempt: 1, expires: 90)))
        #expect(release(self.completed(by: self.theirs), force: true, at: 10).result == .alreadyCompleted)
        #expect(release(self.completed(by: self.theirs), force: true, at: 10).change == .none)
        #expect(release(self.free(attempt: 1, expires: 90), force: true, at: 10).result == .absent)
        #expect(release(nil, force: true, at: 10).result == .absent)
        #expect(release(running, force: true, at: 3600).result == .absent)
    }

    @Test("An operator completes what is unknown, what runs only by force, and nothing else")
    func operatorCompletes() {
        let running = self.claimed(by: self.theirs)
        func complete(_ record: IdempotencyRecord?, force: Bool, at seconds: Int64) -> Transition<OperatorResult> {
            RecordTransitions.operatorComplete(
                record, outcome: self.outcome, keyTTL: .seconds(60), force: force, now: self.time(seconds))
        }
        var expected = self.completed(by: self.theirs)
        expected.expires = self.time(90)
        #expect(complete(running, force: false, at: 10).result == .leaseRunning(remaining: .seconds(20)))
        #expect(complete(running, force: false, at: 10).change == .none)
        #expect(complete(running, force: true, at: 30).change == .write(expected))
        #expect(complete(running, force: false, at: 30).result == .done)
        #expect(complete(running, force: false, at: 30).change == .write(expected))
        #expect(complete(self.completed(by: self.theirs), force: true, at: 10).result == .alreadyCompleted)
        #expect(complete(self.free(attempt: 1, expires: 90), force: true, at: 10).result == .absent)
        #expect(complete(nil, force: true, at: 10).result == .absent)
    }
}

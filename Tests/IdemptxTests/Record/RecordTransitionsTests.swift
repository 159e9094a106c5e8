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
        onAbandoned: AbandonedRule = .rerun
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
        at seconds: Int64, attempt: Int, created: Int64 = 0, _ fingerprint: Fingerprint? = nil
    )
        -> IdempotencyRecord
    {
        IdempotencyRecord(
            fingerprint: fingerprint ?? self.fingerprint, owner: self.mine, attempt: attempt,
            created: self.time(created), expires: self.time(seconds + 3600),
            state: .claimed(leaseEnd: self.time(seconds + 30)))
    }

    // MARK: Claims

    @Test("Absent: executes as attempt 1")
    func absent() {
        let step = RecordTransitions.claim(nil, self.request(), now: self.time(0))
        #expect(step.answer == .execute(attempt: 1))
        #expect(step.change == .write(self.mineClaimed(at: 0, attempt: 1)))
    }

    @Test("Past keyTTL: executes as attempt 1, whatever was there", arguments: [true, false], [true, false])
    func expired(isCompleted: Bool, agrees: Bool) {
        let record = isCompleted ? self.completed(by: self.theirs) : self.claimed(by: self.theirs, attempt: 7)
        let fingerprint = agrees ? self.fingerprint : self.other
        let step = RecordTransitions.claim(
            record, self.request(fingerprint, onAbandoned: .refuse), now: self.time(3600))
        #expect(step.answer == .execute(attempt: 1))
        #expect(step.change == .write(self.mineClaimed(at: 3600, attempt: 1, created: 3600, fingerprint)))
    }

    @Test("Claimed by another, lease running, same fingerprint: in progress")
    func running() {
        let step = RecordTransitions.claim(self.claimed(by: self.theirs), self.request(), now: self.time(12))
        #expect(step.answer == .inProgress(remainingLease: .seconds(18)))
        #expect(step.change == .none)
    }

    @Test("Claimed by another, lease running, other fingerprint: mismatch")
    func runningMismatch() {
        let step = RecordTransitions.claim(self.claimed(by: self.theirs), self.request(self.other), now: self.time(12))
        #expect(step.answer == .mismatch)
        #expect(step.change == .none)
    }

    @Test("Claimed with the same token: executes again, as the same attempt", arguments: [12, 29, 30, 1000] as [Int64])
    func ownToken(seconds: Int64) {
        let record = self.claimed(by: self.mine, attempt: 3)
        for rule in AbandonedRule.allCases {
            let step = RecordTransitions.claim(record, self.request(onAbandoned: rule), now: self.time(seconds))
            #expect(step.answer == .execute(attempt: 3))
            #expect(step.change == .write(self.mineClaimed(at: seconds, attempt: 3)))
        }
    }

    @Test("Claimed with the same token, other fingerprint: mismatch")
    func ownTokenMismatch() {
        let step = RecordTransitions.claim(self.claimed(by: self.mine), self.request(self.other), now: self.time(12))
        #expect(step.answer == .mismatch)
        #expect(step.change == .none)
    }

    @Test("Lease over, rule to rerun: takeover as the next attempt", arguments: [30, 31, 3599] as [Int64])
    func takeover(seconds: Int64) {
        let record = self.claimed(by: self.theirs, attempt: 2)
        let step = RecordTransitions.claim(record, self.request(), now: self.time(seconds))
        #expect(step.answer == .execute(attempt: 3))
        #expect(step.change == .write(self.mineClaimed(at: seconds, attempt: 3)))
    }

    @Test("Lease over, rule to refuse: the outcome is unknown, and nothing changes")
    func refusal() {
        let step = RecordTransitions.claim(
            self.claimed(by: self.theirs), self.request(onAbandoned: .refuse), now: self.time(30))
        #expect(step.answer == .outcomeUnknown)
        #expect(step.change == .none)
    }

    @Test("Lease over, other fingerprint: mismatch", arguments: AbandonedRule.allCases)
    func abandonedMismatch(rule: AbandonedRule) {
        let step = RecordTransitions.claim(
            self.claimed(by: self.theirs), self.request(self.other, onAbandoned: rule), now: self.time(31))
        #expect(step.answer == .mismatch)
        #expect(step.change == .none)
    }

    @Test("Completed, same fingerprint: replay")
    func replay() {
        for owner in [self.mine, self.theirs] {
            let step = RecordTransitions.claim(self.completed(by: owner), self.request(), now: self.time(31))
            #expect(step.answer == .replay(self.outcome))
            #expect(step.change == .none)
        }
    }

    @Test("Completed, other fingerprint: mismatch")
    func completedMismatch() {
        let step = RecordTransitions.claim(self.completed(by: self.theirs), self.request(self.other), now: self.time(1))
        #expect(step.answer == .mismatch)
        #expect(step.change == .none)
    }

    @Test("Without comparison, another fingerprint is like the same")
    func notComparing() {
        let request = self.request(self.other, compares: false)
        let running = RecordTransitions.claim(self.claimed(by: self.theirs), request, now: self.time(12))
        #expect(running.answer == .inProgress(remainingLease: .seconds(18)))
        #expect(
            RecordTransitions.claim(self.completed(by: self.theirs), request, now: self.time(12)).answer
                == .replay(self.outcome))
        let takeover = RecordTransitions.claim(self.claimed(by: self.theirs), request, now: self.time(30))
        #expect(takeover.answer == .execute(attempt: 2))
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

    private func renew(_ record: IdempotencyRecord?, by owner: OwnerToken, at seconds: Int64) -> Transition<Bool> {
        RecordTransitions.renew(
            record, owner: owner, lease: .seconds(30), keyTTL: .seconds(3600), now: self.time(seconds))
    }

    @Test("The owner renews, also after its lease", arguments: [0, 10, 30, 3599] as [Int64])
    func renews(seconds: Int64) {
        let step = self.renew(self.claimed(by: self.mine, attempt: 4), by: self.mine, at: seconds)
        #expect(step.answer)
        #expect(step.change == .write(self.mineClaimed(at: seconds, attempt: 4)))
    }

    @Test("Nobody else renews, nor does an owner whose record is completed or gone")
    func doesNotRenew() {
        let records = [self.claimed(by: self.theirs), self.completed(by: self.mine), nil]
        for record in records {
            let step = self.renew(record, by: self.mine, at: 10)
            #expect(!step.answer)
            #expect(step.change == .none)
        }
        #expect(!self.renew(self.claimed(by: self.mine), by: self.mine, at: 3600).answer)
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
        #expect(step.answer)
        #expect(step.change == .write(expected))
    }

    @Test("The owner completes again: the same answer, and nothing changes")
    func completesAgain() {
        let step = self.complete(
            self.completed(by: self.mine), by: self.mine, .tombstone(Tombstone(status: 500)), at: 10)
        #expect(step.answer)
        #expect(step.change == .none)
    }

    @Test("Nobody else completes, and nothing completes a record that is gone")
    func doesNotComplete() {
        for record in [self.claimed(by: self.theirs), self.completed(by: self.theirs), nil] {
            let step = self.complete(record, by: self.mine, at: 10)
            #expect(!step.answer)
            #expect(step.change == .none)
        }
        #expect(!self.complete(self.claimed(by: self.mine), by: self.mine, at: 3600).answer)
    }

    // MARK: Release

    @Test("The owner releases, also after its lease", arguments: [5, 30, 3599] as [Int64])
    func releases(seconds: Int64) {
        let step = RecordTransitions.release(self.claimed(by: self.mine), owner: self.mine, now: self.time(seconds))
        #expect(step.answer)
        #expect(step.change == .remove)
    }

    @Test("Nobody else releases, and nothing releases what is completed or gone")
    func doesNotRelease() {
        for record in [self.claimed(by: self.theirs), self.completed(by: self.mine), nil] {
            let step = RecordTransitions.release(record, owner: self.mine, now: self.time(5))
            #expect(!step.answer)
            #expect(step.change == .none)
        }
        #expect(!RecordTransitions.release(self.claimed(by: self.mine), owner: self.mine, now: self.time(3600)).answer)
    }

    @Test("An operator releases what is abandoned, what runs only by force, and nothing that is completed")
    func operatorReleases() {
        let running = self.claimed(by: self.theirs)
        func release(_ record: IdempotencyRecord?, force: Bool, at seconds: Int64) -> Transition<OperatorRelease> {
            RecordTransitions.operatorRelease(record, force: force, now: self.time(seconds))
        }
        #expect(release(running, force: false, at: 10).answer == .leaseRunning(remaining: .seconds(20)))
        #expect(release(running, force: false, at: 10).change == .none)
        #expect(release(running, force: true, at: 10).answer == .released)
        #expect(release(running, force: false, at: 30).answer == .released)
        #expect(release(running, force: false, at: 30).change == .remove)
        #expect(release(self.completed(by: self.theirs), force: true, at: 10).answer == .completed)
        #expect(release(self.completed(by: self.theirs), force: true, at: 10).change == .none)
        #expect(release(nil, force: true, at: 10).answer == .absent)
        #expect(release(running, force: true, at: 3600).answer == .absent)
    }
}

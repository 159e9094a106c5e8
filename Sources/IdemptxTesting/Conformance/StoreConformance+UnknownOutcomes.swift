import Idemptx
public import Testing

extension StoreConformance {
    var unknownOutcomeLaws: [Law] {
        [
            { try await self.unknownOutcomeIsRerun(sourceLocation: $0) },
            { try await self.unknownOutcomeIsRefused(sourceLocation: $0) },
            { try await self.unknownOutcomeDoesNotExpire(sourceLocation: $0) },
            { try await self.unknownOutcomeExpiresAfterItsRetention(sourceLocation: $0) },
            { try await self.recoveryIsToldOfTheUnknownAttempt(sourceLocation: $0) },
            { try await self.renewalKeepsTheLease(sourceLocation: $0) },
            { try await self.emptyLeaseLeavesTheOutcomeUnknown(sourceLocation: $0) },
            { try await self.lateOwnerIsStillTheOwner(sourceLocation: $0) },
            { try await self.replacedOwnerChangesNothing(sourceLocation: $0) },
        ]
    }

    /// After the lease the next claim takes over, and attempt numbers rise.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func unknownOutcomeIsRerun(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await self.judge(sourceLocation) { trial in
            for attempt in 1...3 {
                let result = try await trial.claim(trial.request(onAbandoned: .rerun))
                trial.expect(result, .attempt(attempt), "Each rerun is the next attempt")
                try await trial.advance(units: 6)
            }
        }
    }

    /// With the rule to refuse, a key whose outcome is unknown stays refused, until its late owner completes it.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func unknownOutcomeIsRefused(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await self.judge(sourceLocation) { trial in
            let held = try await trial.granted()
            try await trial.advance(units: 6)
            for _ in 1...2 {
                trial.expect(
                    try await trial.claim(trial.request(onAbandoned: .refuse)), .unknown,
                    "The outcome of an attempt is unknown after its lease")
            }
            trial.expect(try await trial.complete(held), "A refused claim takes nothing from the late owner")
            trial.expect(
                try await trial.claim(trial.request(onAbandoned: .refuse)), .completed(.sample),
                "Then the outcome is known")
        }
    }

    /// With a rule other than to rerun, an unknown outcome stays unknown until it is settled.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func unknownOutcomeDoesNotExpire(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await self.judge(sourceLocation) { trial in
            let refused = trial.request(key: .random(), onAbandoned: .refuse)
            let recovered = trial.request(key: .random(), onAbandoned: .recover)
            let ended = trial.request(key: .random(), onAbandoned: .refuse)
            let held = try await trial.granted(refused)
            _ = try await trial.granted(recovered)
            let given = try await trial.granted(ended)
            trial.expect(try await trial.renew(held), "The owner renews")
            trial.expect(try await trial.store.renew(given.claim, lease: .zero), "The owner ends its lease")
            // Twice keyTTL.
            try await trial.advance(units: 40)
            for key in [refused.key, ended.key] {
                trial.expect(
                    try await trial.claim(trial.request(key: key, onAbandoned: .refuse)), .unknown,
                    "An unknown outcome does not expire under the rule to refuse")
            }
            trial.expect(
                try await trial.claim(trial.request(key: recovered.key, onAbandoned: .recover)), .attempt(2),
                "nor under the rule to recover")
            trial.expect(try await trial.complete(held), "A late owner can still complete")
            try await trial.advance(units: 22)
            trial.expect(
                try await trial.claim(trial.request(key: refused.key)), .attempt(1), "and its outcome expires")
        }
    }

    /// A retention for unknown outcomes is kept to.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func unknownOutcomeExpiresAfterItsRetention(
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        try await self.judge(sourceLocation) { trial in
            let retention = trial.units(30)
            let request = trial.request(onAbandoned: .refuse, unresolvedRetention: retention)
            _ = try await trial.granted(request)
            // The lease lasts four units.
            try await trial.advance(units: 31)
            trial.expect(
                try await trial.claim(trial.request(onAbandoned: .refuse)), .unknown,
                "An unknown outcome is kept for its retention")
            try await trial.advance(units: 6)
            trial.expect(
                try await trial.claim(trial.request(onAbandoned: .refuse)), .attempt(1), "and no longer")
        }
    }

    /// A claim that follows on an attempt of unknown outcome is told of it, also if its first reply was lost.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func recoveryIsToldOfTheUnknownAttempt(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await self.judge(sourceLocation) { trial in
            let first = try await trial.claim(trial.request(onAbandoned: .recover))
            trial.expect(first.held?.claim.unknownAttempt == nil, "Nothing comes before the first attempt")
            try await trial.advance(units: 6)
            let request = trial.request(onAbandoned: .recover)
            let second = try await trial.claim(request)
            trial.expect(second, .attempt(2), "An unknown outcome is granted to a recovery")
            let unknownAttempt = second.held?.claim.unknownAttempt
            trial.expect(unknownAttempt?.attempt == 1, "A recovery is told which attempt was before")
            if let unknownAttempt {
                trial.expect(
                    unknownAttempt.created < unknownAttempt.leaseEnd,
                    "and when its key was claimed, and its lease ended")
            }
            let again = try await trial.claim(request)
            trial.expect(again, .attempt(2), "A repeated claim is the same attempt")
            trial.expect(again.held?.claim.unknownAttempt == unknownAttempt, "and is told the same")
        }
    }

    /// A renewed lease holds beyond its first end.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func renewalKeepsTheLease(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await self.judge(sourceLocation) { trial in
            let held = try await trial.granted()
            for _ in 1...3 {
                try await trial.advance(units: 2)
                trial.expect(try await trial.renew(held), "The owner renews")
            }
            trial.expect(
                try await trial.claim(trial.request()), .inProgress(remainingLease: trial.lease),
                "A renewed lease holds")
            try await trial.advance(units: 6)
            trial.expect(try await trial.claim(trial.request()), .attempt(2), "Without renewal it ends")
        }
    }

    /// Renewing with no lease at all ends the lease, and keeps the record.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func emptyLeaseLeavesTheOutcomeUnknown(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await self.judge(sourceLocation) { trial in
            let held = try await trial.granted()
            trial.expect(try await trial.store.renew(held.claim, lease: .zero), "The owner renews")
            trial.expect(
                try await trial.claim(trial.request(onAbandoned: .refuse)), .unknown, "An empty lease is over")
            trial.expect(try await trial.claim(trial.request()), .attempt(2), "and attempts go on to count up")
        }
    }

    /// An owner that has not been replaced may renew and complete after its lease.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func lateOwnerIsStillTheOwner(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await self.judge(sourceLocation) { trial in
            let held = try await trial.granted()
            try await trial.advance(units: 6)
            trial.expect(try await trial.renew(held), "A late owner renews")
            trial.expect(
                try await trial.claim(trial.request()), .inProgress(remainingLease: trial.lease),
                "and has the key again")
            try await trial.advance(units: 6)
            trial.expect(try await trial.complete(held), "A late owner completes")
            trial.expect(try await trial.claim(trial.request()), .completed(.sample), "and its outcome is replayed")
        }
    }

    /// An owner that was replaced can neither renew, complete nor release: the fence.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func replacedOwnerChangesNothing(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await self.judge(sourceLocation) { trial in
            let stale = try await trial.granted()
            try await trial.advance(units: 6)
            let owner = try await trial.granted()

            trial.expect(try await !trial.renew(stale), "A replaced owner cannot renew")
            trial.expect(try await !trial.release(stale), "A replaced owner cannot release")
            trial.expect(
                try await !trial.complete(stale, .tombstone(Tombstone(status: 500))), "A replaced owner cannot complete"
            )
            trial.expect(
                try await trial.claim(trial.request()), .inProgress(remainingLease: trial.lease),
                "A replaced owner changes nothing while its successor runs")

            trial.expect(try await trial.complete(owner), "The successor completes")
            trial.expect(
                try await !trial.complete(stale, .tombstone(Tombstone(status: 500))),
                "A replaced owner cannot complete a completed key")
            trial.expect(try await !trial.release(stale), "A replaced owner cannot release a completed key")
            trial.expect(try await trial.claim(trial.request()), .completed(.sample), "The successor's outcome stays")
        }
    }
}

import Idemptx
public import Testing

extension StoreConformance {
    var abandonedLaws: [Law] {
        [
            { try await self.abandonedKeyIsTakenOver(sourceLocation: $0) },
            { try await self.abandonedKeyIsRefused(sourceLocation: $0) },
            { try await self.renewalKeepsTheLease(sourceLocation: $0) },
            { try await self.emptyLeaseAbandonsTheKey(sourceLocation: $0) },
            { try await self.lateOwnerIsStillTheOwner(sourceLocation: $0) },
            { try await self.replacedOwnerChangesNothing(sourceLocation: $0) },
        ]
    }

    /// After the lease the next claim takes over, and attempt numbers rise.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func abandonedKeyIsTakenOver(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await self.judge(sourceLocation) { trial in
            for attempt in 1...3 {
                let answer = try await trial.claim(trial.request(onAbandoned: .rerun))
                trial.expect(answer, .execute(attempt: attempt), "Each takeover is the next attempt")
                try await trial.advance(units: 6)
            }
        }
    }

    /// With the rule to refuse, an abandoned key stays refused, until its late owner completes it.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func abandonedKeyIsRefused(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await self.judge(sourceLocation) { trial in
            let held = try await trial.granted()
            try await trial.advance(units: 6)
            for _ in 1...2 {
                trial.expect(
                    try await trial.claim(trial.request(onAbandoned: .refuse)), .outcomeUnknown,
                    "The outcome of an abandoned attempt is unknown")
            }
            trial.expect(try await trial.complete(held), "A refused claim takes nothing from the late owner")
            trial.expect(
                try await trial.claim(trial.request(onAbandoned: .refuse)), .replay(.sample),
                "Then the outcome is known")
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
            trial.expect(try await trial.claim(trial.request()), .execute(attempt: 2), "Without renewal it ends")
        }
    }

    /// Renewing with no lease at all ends the lease, and keeps the record.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func emptyLeaseAbandonsTheKey(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await self.judge(sourceLocation) { trial in
            let held = try await trial.granted()
            trial.expect(try await trial.store.renew(held.claim, lease: .zero), "The owner renews")
            trial.expect(
                try await trial.claim(trial.request(onAbandoned: .refuse)), .outcomeUnknown, "An empty lease is over")
            trial.expect(try await trial.claim(trial.request()), .execute(attempt: 2), "and attempts go on to count up")
        }
    }

    /// An owner whom nobody has replaced may renew and complete after its lease.
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
            trial.expect(try await trial.claim(trial.request()), .replay(.sample), "and its outcome is replayed")
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
            trial.expect(try await trial.claim(trial.request()), .replay(.sample), "The successor's outcome stays")
        }
    }
}

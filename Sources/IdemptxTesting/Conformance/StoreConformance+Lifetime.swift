import Idemptx
public import Testing

extension StoreConformance {
    var lifetimeLaws: [Law] {
        [
            { try await self.outcomeExpiresAfterKeyTTL(sourceLocation: $0) },
            { try await self.claimedRecordOutlivesItsLease(sourceLocation: $0) },
            { try await self.renewalProlongsTheRecord(sourceLocation: $0) },
            { try await self.recordNeverExpiresUnderItsLease(sourceLocation: $0) },
        ]
    }

    /// An outcome is kept for keyTTL from completion, then the key is unknown.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func outcomeExpiresAfterKeyTTL(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await self.judge(sourceLocation) { trial in
            let held = try await trial.granted()
            try await trial.advance(units: 3)
            _ = try await trial.complete(held)
            try await trial.advance(units: 18)
            // 21 units after the claim, 18 after completion.
            trial.expect(try await trial.claim(trial.request()), .completed(.sample), "keyTTL counts from completion")
            try await trial.advance(units: 3)
            trial.expect(
                try await trial.claim(trial.request()), .attempt(1), "After keyTTL the key is unknown")
        }
    }

    /// With the rule to rerun, a claimed record stays for keyTTL, so that a crash is visible as one, then it is gone.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func claimedRecordOutlivesItsLease(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await self.judge(sourceLocation) { trial in
            let held = try await trial.granted()
            try await trial.advance(units: 18)
            trial.expect(
                try await trial.claim(trial.request(onAbandoned: .refuse)), .unknown,
                "A crash is visible for keyTTL")
            try await trial.advance(units: 4)
            trial.expect(try await !trial.complete(held), "An owner that comes after keyTTL stores nothing")
            trial.expect(
                try await trial.claim(trial.request(onAbandoned: .refuse)), .attempt(1),
                "After keyTTL the key is unknown")
        }
    }

    /// Renewing prolongs the life of the record, not only the lease.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func renewalProlongsTheRecord(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await self.judge(sourceLocation) { trial in
            let held = try await trial.granted()
            try await trial.advance(units: 12)
            trial.expect(try await trial.renew(held), "The owner renews")
            try await trial.advance(units: 12)
            // 24 units after the claim, 12 after the renewal.
            trial.expect(
                try await trial.claim(trial.request(onAbandoned: .refuse)), .unknown,
                "A crash is visible for keyTTL from the last sign of life")
        }
    }

    /// Even if keyTTL is shorter than the lease, a running attempt keeps its record.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func recordNeverExpiresUnderItsLease(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await self.judge(sourceLocation) { trial in
            var request = trial.request()
            request.keyTTL = trial.units(1)
            let held = try await trial.granted(request)
            try await trial.advance(units: 2)
            trial.expect(
                try await trial.claim(trial.request()), .inProgress(remainingLease: trial.lease),
                "A record does not expire under its lease")
            _ = try await trial.renew(held)
            try await trial.advance(units: 2)
            trial.expect(
                try await trial.claim(trial.request()), .inProgress(remainingLease: trial.lease),
                "nor under a renewed one")
        }
    }
}

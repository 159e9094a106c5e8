import HTTPTypes
import Idemptx
public import Testing

extension StoreConformance {
    var outcomeLaws: [Law] {
        [
            { try await self.outcomesAreReplayedAsTheyWere(sourceLocation: $0) },
            { try await self.completingAgainChangesNothing(sourceLocation: $0) },
            { try await self.releasedKeyIsFree(sourceLocation: $0) },
            { try await self.attemptNeverRepeatsAfterARelease(sourceLocation: $0) },
            { try await self.attemptNeverRepeatsAfterAReleaseByToken(sourceLocation: $0) },
            { try await self.freeRecordIsForgottenAfterKeyTTL(sourceLocation: $0) },
            { try await self.completedKeyIsNotReleased(sourceLocation: $0) },
            { try await self.changesAreHinted(sourceLocation: $0) },
        ]
    }

    /// What was stored is replayed byte for byte, field by field.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func outcomesAreReplayedAsTheyWere(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        // A large response takes its time: only the lifetime of its record counts.
        try await self.judge(sourceLocation, tolerance: 15) { trial in
            let large = StoredResponse(status: .ok, body: (0..<1_100_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
            for response in [.sample, StoredResponse(status: .noContent), large] {
                let request = trial.request(key: .random())
                trial.expect(
                    try await trial.complete(trial.granted(request), .response(response)), "The owner completes")
                guard case .completed(.response(let replayed)) = try await trial.claim(request).result else {
                    trial.expect(false, "A completed key is replayed")
                    continue
                }
                trial.expect(replayed.isIdentical(to: response), "A replay is identical to the first response")
            }
            for tombstone in [Tombstone(status: 500), Tombstone(status: 201, location: "/charges/1")] {
                let request = trial.request(key: .random())
                _ = try await trial.complete(trial.granted(request), .tombstone(tombstone))
                trial.expect(
                    try await trial.claim(request), .completed(.tombstone(tombstone)), "A tombstone is replayed")
            }
        }
    }

    /// Completing twice has the same result as the first time, and the first outcome stays.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func completingAgainChangesNothing(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await self.judge(sourceLocation) { trial in
            let held = try await trial.granted()
            trial.expect(try await trial.complete(held), "The owner completes")
            trial.expect(
                try await trial.complete(held, .tombstone(Tombstone(status: 500))),
                "The owner may complete again, after a lost reply")
            trial.expect(try await trial.claim(trial.request()), .completed(.sample), "The first outcome stays")
            trial.expect(try await !trial.renew(held), "There is nothing to renew once completed")
        }
    }

    /// A key that its first attempt releases is free, and its attempts count from 1.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func releasedKeyIsFree(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await self.judge(sourceLocation) { trial in
            let held = try await trial.granted(trial.request(fingerprint: Fingerprint(ofBytes: [1])))
            trial.expect(try await trial.release(held), "The owner releases")
            trial.expect(try await !trial.release(held), "There is nothing left to release")
            trial.expect(try await !trial.renew(held), "There is nothing left to renew")
            trial.expect(try await !trial.complete(held), "There is nothing left to complete")
            trial.expect(
                try await trial.claim(trial.request(fingerprint: Fingerprint(ofBytes: [2]))), .attempt(1),
                "A released key is free for any request")
        }
    }

    /// A key that a later attempt releases is free, but goes on counting: the first one may still be running.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func attemptNeverRepeatsAfterARelease(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await self.judge(sourceLocation) { trial in
            let first = try await trial.granted(trial.request(fingerprint: Fingerprint(ofBytes: [1])))
            try await trial.advance(units: 6)
            let second = try await trial.granted(trial.request(fingerprint: Fingerprint(ofBytes: [1])))
            trial.expect(try await trial.release(second), "The second attempt releases")
            trial.expect(try await !trial.release(second), "There is nothing left to release")
            trial.expect(try await !trial.complete(first), "A released key takes no outcome")
            let third = try await trial.claim(trial.request(fingerprint: Fingerprint(ofBytes: [2])))
            trial.expect(third, .attempt(3), "A free key is granted to any request, as the next attempt")
            trial.expect(third.held?.claim.unknownAttempt == nil, "The outcome of a released attempt is not unknown")
            trial.expect(try await !trial.complete(first), "The first attempt is still replaced")
        }
    }

    /// A release goes by the number of the attempt that is in the record, not by that in the claim.
    ///
    /// A release after a lost reply does not know the number of its attempt, and says 1.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func attemptNeverRepeatsAfterAReleaseByToken(sourceLocation: SourceLocation = #_sourceLocation) async throws
    {
        try await self.judge(sourceLocation) { trial in
            let first = try await trial.granted()
            try await trial.advance(units: 6)
            let request = trial.request()
            trial.expect(try await trial.claim(request), .attempt(2), "A claim after the lease is the next attempt")
            let released = Trial.HeldClaim(Claim(granting: request, ClaimGrant(attempt: 1)))
            trial.expect(try await trial.release(released), "A claim is released by its token, whatever its number")
            trial.expect(
                try await trial.claim(trial.request()), .attempt(3), "A released attempt is counted")
            trial.expect(try await !trial.complete(first), "The first attempt is still replaced")
        }
    }

    /// A free record expires after keyTTL.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func freeRecordIsForgottenAfterKeyTTL(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await self.judge(sourceLocation) { trial in
            _ = try await trial.granted()
            try await trial.advance(units: 6)
            let second = try await trial.granted()
            trial.expect(try await trial.release(second), "The second attempt releases")
            try await trial.advance(units: 18)
            let third = try await trial.claim(trial.request())
            trial.expect(third, .attempt(3), "A free record is kept for keyTTL")
            if let held = third.held { trial.expect(try await trial.release(held), "The third attempt releases") }
            try await trial.advance(units: 22)
            trial.expect(try await trial.claim(trial.request()), .attempt(1), "and no longer")
        }
    }

    /// Not even its owner can release a completed key.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func completedKeyIsNotReleased(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await self.judge(sourceLocation) { trial in
            let held = try await trial.granted()
            _ = try await trial.complete(held)
            trial.expect(try await !trial.release(held), "A completed key is not released")
            trial.expect(try await trial.claim(trial.request()), .completed(.sample), "and goes on to be replayed")
        }
    }

    /// A store that hints at changes does so for completion and release; one that does not says so at once.
    ///
    /// - Parameters:
    ///   - limit: How long to wait for a hint.
    ///   - sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func changesAreHinted(
        within limit: Duration = .seconds(5),
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        try await self.judge(sourceLocation) { trial in
            let (completed, released) = (trial.request(key: .random()), trial.request(key: .random()))
            let (first, second) = (try await trial.granted(completed), try await trial.granted(released))
            let (ofCompletion, ofRelease) = (
                trial.store.changes(of: completed.key), trial.store.changes(of: released.key)
            )
            trial.expect(try await trial.complete(first), "The owner completes")
            trial.expect(try await trial.release(second), "The owner releases")
            trial.expect(await self.hints(ofCompletion, within: limit), "A completion is hinted, or nothing is")
            trial.expect(await self.hints(ofRelease, within: limit), "A release is hinted, or nothing is")

            let given = trial.request(key: .random())
            let third = try await trial.granted(given)
            let ofLeaseEnd = trial.store.changes(of: given.key)
            trial.expect(try await trial.store.renew(third.claim, lease: .zero), "The owner ends its lease")
            trial.expect(await self.hints(ofLeaseEnd, within: limit), "The end of a lease is hinted, or nothing is")
        }
    }

    /// Whether a stream hints, or ends because there are no hints.
    private func hints(_ changes: AsyncStream<Void>, within limit: Duration) async -> Bool {
        await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                for await _ in changes { break }
                return !Task.isCancelled
            }
            group.addTask {
                try? await Task.sleep(for: limit)
                return false
            }
            defer { group.cancelAll() }
            return await group.next() ?? false
        }
    }
}

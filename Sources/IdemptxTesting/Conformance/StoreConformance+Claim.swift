import HTTPTypes
import Idemptx
public import Testing

extension StoreConformance {
    var claimLaws: [Law] {
        [
            { try await self.firstClaimIsGranted(sourceLocation: $0) },
            { try await self.runningAttemptKeepsOthersOut(sourceLocation: $0) },
            { try await self.onlyOneOfManyClaimsIsGranted(sourceLocation: $0) },
            { try await self.ownTokenIsGrantedAgain(sourceLocation: $0) },
            { try await self.otherFingerprintIsAMismatch(sourceLocation: $0) },
            { try await self.fingerprintsOfDifferentRecipesAgree(sourceLocation: $0) },
            { try await self.uncomparedFingerprintChangesNothingElse(sourceLocation: $0) },
            { try await self.keysAreIndependent(sourceLocation: $0) },
            { try await self.lateClaimIsNotGranted(sourceLocation: $0) },
        ]
    }

    /// A key without a record is granted, as attempt 1.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func firstClaimIsGranted(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await self.judge(sourceLocation) { trial in
            let request = trial.request()
            let result = try await trial.claim(request)
            trial.expect(result, .attempt(1), "A key without a record is granted as attempt 1")
            trial.expect(result.held?.claim.owner == request.owner, "A claim carries the token it was asked for with")
            trial.expect(result.held?.claim.key == request.key, "A claim carries its key")
        }
    }

    /// While an attempt runs, other tokens are told that it does.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func runningAttemptKeepsOthersOut(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await self.judge(sourceLocation) { trial in
            _ = try await trial.granted()
            for rule in UnknownOutcomeRule.Kind.allCases {
                let result = try await trial.claim(trial.request(onAbandoned: rule))
                trial.expect(result, .inProgress(remainingLease: trial.lease), "A running attempt keeps others out")
            }
        }
    }

    /// Of many claims at once exactly one is granted.
    ///
    /// - Parameters:
    ///   - count: How many claims.
    ///   - sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func onlyOneOfManyClaimsIsGranted(
        count: Int = 50,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        try await self.judge(sourceLocation) { trial in
            let winners = try await withThrowingTaskGroup(of: Bool.self) { group in
                for _ in 0..<count {
                    group.addTask { try await trial.claim(trial.request()).held != nil }
                }
                return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            trial.expect(winners == 1, "Of \(count) claims at once exactly one is granted, not \(winners)")
        }
    }

    /// A claim whose reply was lost can be repeated with its token, and is the same attempt.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func ownTokenIsGrantedAgain(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await self.judge(sourceLocation) { trial in
            let request = trial.request()
            _ = try await trial.granted(request)
            trial.expect(try await trial.claim(request), .attempt(1), "A repeated claim is the same attempt")

            try await trial.advance(units: 6)
            let late = try await trial.claim(request)
            trial.expect(late, .attempt(1), "A repeated claim is the same attempt even after the lease")
            let other = try await trial.claim(trial.request())
            trial.expect(other, .inProgress(remainingLease: trial.lease), "A repeated claim starts the lease anew")
        }
    }

    /// Another fingerprint is a mismatch in every state, and before the state is looked at.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func otherFingerprintIsAMismatch(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await self.judge(sourceLocation) { trial in
            let (first, second) = (Fingerprint(ofBytes: [1]), Fingerprint(ofBytes: [2]))
            let held = try await trial.granted(trial.request(fingerprint: first))
            let owner = held.claim.owner

            trial.expect(
                try await trial.claim(trial.request(fingerprint: second)), .mismatch, "Mismatch while an attempt runs")
            trial.expect(
                try await trial.claim(trial.request(owner: owner, fingerprint: second)), .mismatch,
                "Mismatch with the owner's own token")
            try await trial.advance(units: 6)
            for rule in UnknownOutcomeRule.Kind.allCases {
                trial.expect(
                    try await trial.claim(trial.request(fingerprint: second, onAbandoned: rule)), .mismatch,
                    "Mismatch after the lease")
            }
            _ = try await trial.complete(held)
            trial.expect(
                try await trial.claim(trial.request(fingerprint: second)), .mismatch, "Mismatch once completed")
            trial.expect(
                try await trial.claim(trial.request(fingerprint: first)), .completed(.sample),
                "A mismatch changes nothing for the right fingerprint")
        }
    }

    /// Fingerprints that cannot be compared do not mismatch.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func fingerprintsOfDifferentRecipesAgree(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await self.judge(sourceLocation) { trial in
            let plain = Fingerprint(ofBytes: [1])
            let head = HTTPRequest(method: .post, scheme: nil, authority: nil, path: "/")
            let ofRequest = FingerprintBuilder(head: head).finalize()
            let held = try await trial.granted(trial.request(fingerprint: plain))
            _ = try await trial.complete(held)
            for fingerprint in [ofRequest, .none] {
                trial.expect(
                    try await trial.claim(trial.request(fingerprint: fingerprint)), .completed(.sample),
                    "A fingerprint of another recipe agrees")
            }
        }
    }

    /// A claim that does not compare fingerprints is otherwise like any other.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func uncomparedFingerprintChangesNothingElse(
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        try await self.judge(sourceLocation) { trial in
            let held = try await trial.granted(trial.request(fingerprint: Fingerprint(ofBytes: [1])))
            let careless = trial.request(fingerprint: Fingerprint(ofBytes: [2]), comparesFingerprint: false)
            trial.expect(
                try await trial.claim(careless), .inProgress(remainingLease: trial.lease),
                "Not comparing does not let a claim in")
            _ = try await trial.complete(held)
            trial.expect(try await trial.claim(careless), .completed(.sample), "Not comparing replays")
        }
    }

    /// A claim that the store gets to after its caller has given up is not granted, and changes nothing.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func lateClaimIsNotGranted(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await self.judge(sourceLocation) { trial in
            for rule in UnknownOutcomeRule.Kind.allCases {
                let key = StorageKey.random()
                var request = trial.request(key: key, onAbandoned: rule)
                request.timeout = .zero - trial.units(1)
                let late = try await self.isRefusedAsLate(request, trial)
                trial.expect(late, "A claim of an unknown key is not granted late")
                request.timeout = .seconds(60)
                let held = try await trial.claim(request)
                trial.expect(held, .attempt(1), "A claim in time is granted, and a late one has left nothing")

                try await trial.advance(units: 6)
                var second = trial.request(key: key, onAbandoned: .rerun)
                second.timeout = .zero - trial.units(1)
                let lateAgain = try await self.isRefusedAsLate(second, trial)
                trial.expect(lateAgain, "A claim of an unknown outcome is not granted late")
                second.timeout = nil
                trial.expect(try await trial.claim(second), .attempt(2), "and has not counted as an attempt")
            }
        }
    }

    private func isRefusedAsLate(_ request: ClaimRequest, _ trial: Trial) async throws -> Bool {
        do {
            _ = try await trial.claim(request)
            return false
        } catch let error as StoreError {
            return error.code == .unavailable
        }
    }

    /// What happens to one key does not show in another.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func keysAreIndependent(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await self.judge(sourceLocation) { trial in
            let held = try await trial.granted()
            let other = StorageKey.random()
            trial.expect(
                try await trial.claim(trial.request(key: other)), .attempt(1), "Another key is another record")
            _ = try await trial.complete(held)
            trial.expect(
                try await trial.claim(trial.request(key: other)), .inProgress(remainingLease: trial.lease),
                "Completing one key leaves the other alone")
        }
    }
}

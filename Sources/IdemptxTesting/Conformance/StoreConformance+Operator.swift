import Idemptx
public import Testing

extension StoreConformance {
    var operatorLaws: [Law] {
        [
            { try await self.recordsCanBeInspected(sourceLocation: $0) },
            { try await self.operatorSettlesKeys(sourceLocation: $0) },
            { try await self.sweepingDeletesExpiredRecordsOnly(sourceLocation: $0) },
        ]
    }

    /// A store that conforms to `KeyInspecting` shows each record as it is.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func recordsCanBeInspected(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        // Many calls, of which the last has to come before the first lease is over.
        try await self.judge(sourceLocation, tolerance: 3) { trial in
            guard let inspector = trial.store as? any KeyInspecting else { return }
            let requests = (0..<25).map { _ in trial.request(key: .random(), fingerprint: Fingerprint(ofBytes: [7])) }
            for (index, request) in requests.enumerated() {
                let held = try await trial.granted(request)
                if index.isMultiple(of: 2) { _ = try await trial.complete(held) }
            }

            let first = try await inspector.record(for: requests[0].key)
            trial.expect(first?.record.state == .completed(.sample), "A completed record shows its outcome")
            trial.expect(first?.record.owner == requests[0].owner, "A record shows its owner")
            trial.expect(first?.record.fingerprint == requests[0].fingerprint, "A record shows its fingerprint")
            trial.expect(try await inspector.record(for: .random()) == nil, "An unknown key has no record")

            let listed = try await self.list(inspector)
            trial.expect(requests.allSatisfy { listed[$0.key] != nil }, "Each record is on some page")
            trial.expect(
                listed[requests[0].key]?.first?.header?.phase == .response, "A listing shows what is completed")
            trial.expect(listed[requests[1].key]?.first?.isAbandoned == false, "A running attempt is not abandoned")
            let statistics = try await inspector.statistics()
            trial.expect(statistics.completed >= 13 && statistics.claimed >= 12, "Statistics count every record")

            try await trial.advance(units: 6)
            let later = try await self.list(inspector)
            trial.expect(later[requests[1].key]?.first?.isAbandoned == true, "After its lease an attempt is abandoned")
            trial.expect(try await inspector.statistics().abandoned >= 12, "Statistics tell abandoned attempts")
            try await trial.advance(units: 18)
            trial.expect(try await inspector.record(for: requests[0].key) == nil, "An expired record is not shown")
            trial.expect(try await self.list(inspector)[requests[0].key] == nil, "An expired record is not listed")
        }
    }

    private func list(_ inspector: any KeyInspecting) async throws -> [StorageKey: [RecordSummary]] {
        var listed: [RecordSummary] = []
        var cursor: ListingCursor?
        repeat {
            let page = try await inspector.records(after: cursor, limit: 10)
            listed += page.records
            cursor = page.next
        } while cursor != nil
        return Dictionary(grouping: listed, by: \.key)
    }

    /// A store that conforms to `KeyInspecting` lets an operator release and remove, with care.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func operatorSettlesKeys(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await self.judge(sourceLocation) { trial in
            guard let inspector = trial.store as? any KeyInspecting else { return }
            trial.expect(try await inspector.release(trial.key, force: true) == .absent, "No record, no release")
            trial.expect(try await !inspector.remove(trial.key), "No record, no removal")

            let held = try await trial.granted()
            guard case .leaseRunning = try await inspector.release(trial.key, force: false) else {
                trial.expect(false, "A running attempt is released only by force")
                return
            }
            trial.expect(try await trial.renew(held), "A refused release changes nothing")
            trial.expect(try await inspector.release(trial.key, force: true) == .released, "Force releases")
            trial.expect(try await !trial.complete(held), "A released attempt stores nothing")

            let second = try await trial.granted()
            try await trial.advance(units: 6)
            trial.expect(
                try await inspector.release(trial.key, force: false) == .released, "An abandoned key is released")
            trial.expect(try await !trial.complete(second), "and its late owner stores nothing")

            let third = try await trial.granted()
            _ = try await trial.complete(third)
            trial.expect(
                try await inspector.release(trial.key, force: true) == .completed, "A completed key is not released")
            trial.expect(try await trial.claim(trial.request()), .replay(.sample), "and goes on to be replayed")
            trial.expect(try await inspector.remove(trial.key), "A completed key can be removed")
            trial.expect(try await trial.claim(trial.request()), .execute(attempt: 1), "and is unknown then")
        }
    }

    /// A store that conforms to `ExpirySweeping` deletes expired records and no others.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func sweepingDeletesExpiredRecordsOnly(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await self.judge(sourceLocation) { trial in
            guard let sweeper = trial.store as? any ExpirySweeping else { return }
            for _ in 0..<5 {
                _ = try await trial.complete(trial.granted(trial.request(key: .random())))
            }
            try await trial.advance(units: 15)
            _ = try await trial.complete(trial.granted())
            try await trial.advance(units: 7)
            trial.expect(try await sweeper.sweepExpired(limit: 3) == 3, "A sweep keeps to its limit")
            while try await sweeper.sweepExpired(limit: 1000) == 1000 {}
            trial.expect(try await sweeper.sweepExpired(limit: 1000) == 0, "Sweeping comes to an end")
            trial.expect(try await trial.claim(trial.request()), .replay(.sample), "A live record is not swept")
        }
    }
}

import Idemptx
public import Testing

extension StoreConformance {
    var operatorLaws: [Law] {
        [
            { try await self.recordsCanBeInspected(sourceLocation: $0) },
            { try await self.operatorSettlesKeys(sourceLocation: $0) },
            { try await self.operatorCompletesKeys(sourceLocation: $0) },
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
            // Unknown outcomes that an operator has to settle: a store need not list those that the next claim runs again.
            let requests = (0..<25).map { _ in
                trial.request(key: .random(), fingerprint: Fingerprint(ofBytes: [7]), onAbandoned: .refuse)
            }
            for (index, request) in requests.enumerated() {
                let held = try await trial.granted(request)
                if index.isMultiple(of: 2) { _ = try await trial.complete(held) }
            }

            let first = try await inspector.record(for: requests[0].key)
            trial.expect(first?.outcome == .sample, "A completed record shows its outcome")
            trial.expect(first?.header?.owner == requests[0].owner, "A record shows its owner")
            trial.expect(first?.header?.fingerprint == requests[0].fingerprint, "A record shows its fingerprint")
            trial.expect(try await inspector.record(for: .random()) == nil, "An unknown key has no record")

            let listed = try await self.list(inspector)
            trial.expect(requests.allSatisfy { listed[$0.key] != nil }, "Each record is on some page")
            trial.expect(
                listed[requests[0].key]?.first?.state == .completed, "A listing shows what is completed")
            trial.expect(
                listed[requests[1].key]?.first?.state == .claimed, "A running attempt is not of unknown outcome")
            let counter = inspector as? any RecordCounting
            if let statistics = try await counter?.statistics() {
                trial.expect(
                    statistics.count(of: .completed) >= 13 && statistics.count(of: .claimed) >= 12,
                    "Statistics count every record")
            }
            let unknownBefore = try await self.list(inspector, .unknown)
            trial.expect(
                requests.allSatisfy { unknownBefore[$0.key] == nil }, "No running attempt is listed as unknown")

            // The last claim may have come as late as is tolerated: its lease is over, too.
            try await trial.advance(units: 8)
            let later = try await self.list(inspector)
            trial.expect(
                later[requests[1].key]?.first?.state == .unknown, "After its lease the outcome of an attempt is unknown"
            )
            if let counter {
                trial.expect(
                    try await counter.statistics().count(of: .unknown) >= 12, "Statistics tell unknown outcomes")
                trial.expect(try await counter.unknownCount() >= 12, "Unknown outcomes are counted")
            }
            let unknown = try await self.list(inspector, .unknown)
            let expected = requests.enumerated().filter { !$0.offset.isMultiple(of: 2) }.map(\.element.key)
            trial.expect(expected.allSatisfy { unknown[$0]?.count == 1 }, "Each unknown outcome is listed once as such")
            trial.expect(unknown[requests[0].key] == nil, "and nothing else")
            try await trial.advance(units: 18)
            trial.expect(try await inspector.record(for: requests[0].key) == nil, "An expired record is not shown")
            trial.expect(try await self.list(inspector)[requests[0].key] == nil, "An expired record is not listed")
        }
    }

    private func list(
        _ inspector: any KeyInspecting,
        _ state: RecordState? = nil
    ) async throws -> [StorageKey: [RecordSummary]] {
        var listed: [RecordSummary] = []
        var cursor: String?
        repeat {
            let page = try await inspector.records(in: state, after: cursor, limit: 10)
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
            let reason = "conformance"
            trial.expect(
                try await inspector.release(trial.key, force: true, reason: reason) == .absent, "No record, no release")
            trial.expect(try await !inspector.remove(trial.key, reason: reason), "No record, no removal")

            let held = try await trial.granted()
            guard case .leaseRunning = try await inspector.release(trial.key, force: false, reason: reason) else {
                trial.expect(false, "A running attempt is released only by force")
                return
            }
            trial.expect(try await trial.renew(held), "A refused release changes nothing")
            trial.expect(
                try await inspector.release(trial.key, force: true, reason: reason) == .done, "Force releases")
            trial.expect(
                try await inspector.release(trial.key, force: true, reason: reason) == .absent,
                "A free key is not released")
            trial.expect(try await !trial.complete(held), "A released attempt stores nothing")

            let second = try await trial.claim(trial.request())
            trial.expect(second, .attempt(2), "The attempt that follows on a released one has the next number")
            try await trial.advance(units: 6)
            trial.expect(
                try await inspector.release(trial.key, force: false, reason: reason) == .done,
                "A key of unknown outcome is released")
            if let held = second.held {
                trial.expect(try await !trial.complete(held), "and its late owner stores nothing")
            }

            let third = try await trial.granted()
            trial.expect(third.claim.attempt == 3, "Numbers go on rising")
            _ = try await trial.complete(third)
            trial.expect(
                try await inspector.release(trial.key, force: true, reason: reason) == .alreadyCompleted,
                "A completed key is not released")
            trial.expect(try await trial.claim(trial.request()), .completed(.sample), "and goes on to be replayed")
            trial.expect(try await inspector.remove(trial.key, reason: reason), "A completed key can be removed")
            trial.expect(try await trial.claim(trial.request()), .attempt(1), "and is absent then")
        }
    }

    /// A store that conforms to `KeyInspecting` lets an operator complete a key.
    ///
    /// - Parameter sourceLocation: Where issues are recorded.
    /// - Throws: What the store throws.
    public func operatorCompletesKeys(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await self.judge(sourceLocation) { trial in
            guard let inspector = trial.store as? any KeyInspecting else { return }
            func complete(force: Bool = false) async throws -> OperatorResult {
                try await inspector.complete(
                    trial.key, with: .sample, keyTTL: trial.keyTTL, force: force, reason: "conformance")
            }
            trial.expect(try await complete() == .absent, "No record, no completion")
            _ = try await trial.granted(trial.request(onAbandoned: .refuse))
            guard case .leaseRunning = try await complete() else {
                trial.expect(false, "A running attempt is completed only by force")
                return
            }
            try await trial.advance(units: 30)
            trial.expect(try await complete() == .done, "An unknown outcome can be made known")
            trial.expect(try await complete(force: true) == .alreadyCompleted, "but not be replaced")
            trial.expect(
                try await trial.claim(trial.request(onAbandoned: .refuse)), .completed(.sample), "It is replayed")
            try await trial.advance(units: 22)
            trial.expect(try await trial.claim(trial.request()), .attempt(1), "and expires")
            trial.expect(try await complete(force: true) == .done, "Force completes a running attempt")
            trial.expect(try await trial.claim(trial.request()), .completed(.sample), "which is replayed, too")
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
            trial.expect(try await trial.claim(trial.request()), .completed(.sample), "A live record is not swept")
        }
    }
}

public import Idemptx

extension RedisStore: KeyInspecting {
    /// The record of one key.
    public func record(for key: StorageKey) async throws -> RecordSummary? {
        let reading = try await self.read(key)
        return RecordTransitions.live(reading.record, now: reading.now)
            .map { RecordSummary(key: key, record: $0, readAt: reading.now) }
    }

    /// One page of records, found by `SCAN` on one primary after the other.
    ///
    /// Unknown outcomes are found in an index of the claims under `refuse` and `recover`; those under `rerun` are of no
    /// concern to an operator, and not listed as such. A cluster has no such index, and is searched.
    ///
    /// A page can be longer or shorter than `limit`, or empty. A record may be listed twice while the table of a server
    /// grows or shrinks, and twice or not at all if it moves to another server meanwhile.
    ///
    /// - Throws: `StoreError` with code `misconfigured` if the server of the cursor is no longer a primary.
    public func records(
        in state: RecordState?,
        after cursor: String?,
        limit: Int
    ) async throws -> (records: [RecordSummary], next: String?) {
        let position = try ScanPosition(cursor)
        if state == .unknown, !self.executor.isCluster {
            return try await self.unsettled(after: position, limit: limit)
        }
        let primaries = try await self.namedPrimaries()
        let names = primaries.map(\.name)
        guard let index = position.primary.map({ names.firstIndex(of: $0) }) ?? names.startIndex, index < names.count
        else {
            throw StoreError(.misconfigured, "A server of this listing is no longer a primary: begin the listing anew.")
        }
        let scan = try await primaries[index].executor.execute(
            RedisCommand("SCAN", position.cursor, "MATCH", self.names.pattern, "COUNT", "\(max(1, limit))")
        ).elements
        guard scan.count == 2, let next = scan[0].text else { throw RedisReply.unexpected }
        let keys = scan[1].elements.compactMap { self.storageKey(of: $0) }
        return (
            records: try await self.summaries(of: keys).filter { state == nil || $0.state == state },
            next: ScanPosition(after: next, at: index, of: names)?.text
        )
    }

    /// One page of the index; entries that are out of date are removed.
    private func unsettled(
        after position: ScanPosition,
        limit: Int
    ) async throws -> (records: [RecordSummary], next: String?) {
        let index = self.names.unsettled
        let scan = try await self.executor.execute(
            RedisCommand([.text("ZSCAN"), index, .text(position.cursor), .text("COUNT"), .text("\(max(1, limit))")]),
            key: index
        ).elements
        guard scan.count == 2, let next = scan[0].text else { throw RedisReply.unexpected }
        // Members and scores in turn.
        let members = scan[1].elements.enumerated().filter { $0.offset.isMultiple(of: 2) }
        let keys = Set(members.compactMap { self.storageKey(of: $0.element) })
        let summaries = try await self.summaries(of: Array(keys))
        let settled = keys.subtracting(summaries.filter(\.isClaimed).map(\.key))
        for key in settled { try await self.removeFromIndex(key) }
        return (summaries.filter { $0.state == .unknown }, next == "0" ? nil : "\(next)@unsettled")
    }

    /// Takes a key out of the index unless it has been claimed meanwhile.
    private func removeFromIndex(_ key: StorageKey) async throws {
        _ = try await self.run(RecordScripts.removeFromIndex, [self.names.key(of: key), self.names.unsettled], [])[0]
            .get()
    }

    private func storageKey(of reply: RedisReply) -> StorageKey? {
        guard case .bytes(let name) = reply else { return nil }
        return self.names.storageKey(of: name)
    }

    /// In an order that does not depend on that in which the servers of a cluster are found.
    private func namedPrimaries() async throws -> [(name: String, executor: any RedisExecutor)] {
        try await self.executor.primaries().enumerated()
            .map { index, primary in ((primary as? RESP3NodeExecutor)?.name ?? "\(index)", primary) }
            .sorted { $0.0 < $1.0 }
    }

    private func summaries(of keys: [StorageKey]) async throws -> [RecordSummary] {
        try await withThrowingTaskGroup(of: RecordSummary?.self) { group in
            for key in keys {
                group.addTask { try await self.summary(of: key) }
            }
            return try await group.reduce(into: []) { summaries, summary in
                if let summary { summaries.append(summary) }
            }
        }
    }

    /// `nil` if the record has gone.
    private func summary(of key: StorageKey) async throws -> RecordSummary? {
        let replies = try await self.run(
            RecordScripts.read, [self.names.key(of: key)], [.text("\(RecordCodec.headerSize - 1)")])
        // A key that is not a string counts as damaged.
        if case .error(let message) = replies[0], StoreError(refusal: message).code == .corruptRecord {
            return RecordSummary(key: key, header: [], readAt: .zero)
        }
        let (now, lifetime, bytes) = try replies[0].get().reading()
        if bytes.isEmpty { return nil }
        let expires = StoredRecord.expiry(lifetime: lifetime, now: now)
        return RecordSummary(key: key, header: bytes, expires: expires, readAt: now)
    }

    /// Deletes a record in whatever state.
    public func remove(_ key: StorageKey, reason: String) async throws -> Bool {
        let isIndexed = !self.executor.isCluster
        let isRemoved = try await self.run(
            RecordScripts.remove, [self.names.key(of: key), self.names.outcome(of: key)] + self.index(isIndexed),
            [.text(try await self.executor.publishCommand()), self.names.channel(of: key), .flag(isIndexed)]
        ).flag()
        if isRemoved { OperatorAct.removed.log(key, reason: reason) }
        return isRemoved
    }
}

extension RedisStore: RecordCounting {
    /// Counts the records, by listing all of them.
    package func statistics() async throws -> StoreStatistics {
        var statistics = StoreStatistics()
        try await self.forEach(in: nil) { statistics.count($0) }
        return statistics
    }

    /// Counts the unknown outcomes of claims under `refuse` and `recover`, by the index; in a cluster, by a search.
    ///
    /// One that has expired is counted until it is listed for the next time.
    package func unknownCount() async throws -> Int {
        if self.executor.isCluster {
            var count = 0
            try await self.forEach(in: .unknown) { _ in count += 1 }
            return count
        }
        let index = self.names.unsettled
        let now = try await self.executor.execute(RedisCommand("TIME"), key: index).timestamp()
        let reply = try await self.executor.execute(
            RedisCommand([.text("ZCOUNT"), index, .text("-inf"), .number(now.milliseconds)]), key: index)
        guard case .integer(let count) = reply else { throw RedisReply.unexpected }
        return count
    }

    private func forEach(in state: RecordState?, _ body: (RecordSummary) -> Void) async throws {
        var seen: Set<StorageKey> = []
        var cursor: String?
        repeat {
            let page = try await self.records(in: state, after: cursor, limit: 1000)
            for summary in page.records where seen.insert(summary.key).inserted { body(summary) }
            cursor = page.next
        } while cursor != nil
    }
}

extension RecordSummary {
    fileprivate var isClaimed: Bool { self.state == .claimed || self.state == .unknown }
}

/// Where a listing stands: at which primary, and where in its table.
private struct ScanPosition {
    /// The name of the primary; `nil` for the first.
    let primary: String?
    let cursor: String

    init(_ text: String?) throws(StoreError) {
        guard let text else {
            (self.primary, self.cursor) = (nil, "0")
            return
        }
        let parts = text.split(separator: "@", maxSplits: 1)
        guard parts.count == 2, let cursor = UInt64(parts[0]) else {
            throw StoreError(.misconfigured, "The cursor is not one of a listing in Redis.")
        }
        (self.primary, self.cursor) = (String(parts[1]), "\(cursor)")
    }

    /// The position after a page; `nil` if that was the last one.
    ///
    /// A scan is over when it is back at 0.
    init?(after cursor: String, at index: Int, of primaries: [String]) {
        if cursor != "0" {
            (self.primary, self.cursor) = (primaries[index], cursor)
        } else if index + 1 < primaries.count {
            (self.primary, self.cursor) = (primaries[index + 1], "0")
        } else {
            return nil
        }
    }

    var text: String { "\(self.cursor)@\(self.primary ?? "")" }
}

public import Idemptx

extension RedisStore: KeyInspecting {
    /// The record of one key.
    public func record(for key: StorageKey) async throws -> RecordSnapshot? {
        let name = self.names.key(of: key)
        let replies = try await self.executor.checkedExecute(
            [RedisCommand([.text("GET"), name]), RedisCommand("TIME")], key: name)
        guard case .bytes(let bytes) = try replies[0].get() else { return nil }
        let now = try replies[1].get().timestamp()
        return RecordTransitions.live(try RecordCodec.decode(bytes), now: now)
            .map { RecordSnapshot(key: key, record: $0, readAt: now) }
    }

    /// One page of records, found by `SCAN` on one primary after the other.
    ///
    /// A page can be longer or shorter than `limit`, or empty. A record may be listed twice while the table of a server
    /// grows or shrinks, and twice or not at all if it moves to another server meanwhile.
    ///
    /// - Throws: `StoreError` with code `misconfigured` if the server that the cursor is about is no primary any more.
    public func records(after cursor: ListingCursor?, limit: Int) async throws -> RecordPage {
        let position = try ScanPosition(cursor)
        let primaries = try await self.namedPrimaries()
        let names = primaries.map(\.name)
        guard let index = position.primary.map({ names.firstIndex(of: $0) }) ?? names.startIndex, index < names.count
        else {
            throw StoreError(.misconfigured, "A server of this listing is no primary any more: begin the listing anew.")
        }
        let replies = try await primaries[index].executor.checkedExecute(
            [
                RedisCommand("TIME"),
                RedisCommand("SCAN", position.cursor, "MATCH", self.names.pattern, "COUNT", "\(max(1, limit))"),
            ], key: nil)
        let now = try replies[0].get().timestamp()
        let scan = try replies[1].get().elements
        guard scan.count == 2, let next = scan[0].text else { throw ScriptReply.unexpected }
        let keys = scan[1].elements.compactMap { reply -> StorageKey? in
            guard case .bytes(let name) = reply else { return nil }
            return self.names.storageKey(of: name)
        }
        return RecordPage(
            records: try await self.summaries(of: keys, now: now),
            next: ScanPosition(after: next, at: index, of: names)?.listingCursor)
    }

    /// In an order that does not depend on that in which the servers of a cluster are found.
    private func namedPrimaries() async throws -> [(name: String, executor: any RedisExecutor)] {
        try await self.executor.primaries().enumerated()
            .map { index, primary in ((primary as? RESP3NodeExecutor)?.name ?? "\(index)", primary) }
            .sorted { $0.0 < $1.0 }
    }

    private func summaries(of keys: [StorageKey], now: Timestamp) async throws -> [RecordSummary] {
        try await withThrowingTaskGroup(of: RecordSummary?.self) { group in
            for key in keys {
                group.addTask { try await self.summary(of: key, now: now) }
            }
            return try await group.reduce(into: []) { summaries, summary in
                if let summary { summaries.append(summary) }
            }
        }
    }

    /// `nil` if the record has gone, or has expired.
    private func summary(of key: StorageKey, now: Timestamp) async throws -> RecordSummary? {
        let name = self.names.key(of: key)
        let command = RedisCommand([.text("GETRANGE"), name, .text("0"), .text("\(RecordCodec.headerSize - 1)")])
        let reply = try await self.executor.checkedExecute([command], key: name)[0]
        // Something that is no string at all counts as damaged.
        if case .error(let message) = reply, StoreError(refusal: message).code == .corruptRecord {
            return RecordSummary(key: key, header: [], readAt: now)
        }
        guard case .bytes(let bytes) = try reply.get(), !bytes.isEmpty else { return nil }
        return RecordSummary(key: key, header: bytes, readAt: now)
    }

    /// Frees a key whose attempt has not ended.
    public func release(_ key: StorageKey, force: Bool) async throws -> OperatorRelease {
        try await self.run(RecordScripts.operatorRelease, for: key, [.flag(force)] + self.publication(of: key))
            .operatorRelease()
    }

    /// Deletes a record in whatever state.
    public func remove(_ key: StorageKey) async throws -> Bool {
        try await self.run(RecordScripts.remove, for: key, self.publication(of: key)).flag()
    }

    /// Counts the records, by listing all of them.
    public func statistics() async throws -> StoreStatistics {
        var statistics = StoreStatistics()
        var seen: Set<StorageKey> = []
        var cursor: ListingCursor?
        repeat {
            let page = try await self.records(after: cursor, limit: 1000)
            for summary in page.records where seen.insert(summary.key).inserted { statistics.count(summary) }
            cursor = page.next
        } while cursor != nil
        return statistics
    }
}

extension RedisReply {
    /// The reply to `TIME`: seconds, and microseconds of the second.
    fileprivate func timestamp() throws(StoreError) -> Timestamp {
        let numbers = self.elements.compactMap { $0.text.flatMap { Int64($0) } }
        guard numbers.count == 2 else { throw ScriptReply.unexpected }
        return Timestamp(milliseconds: numbers[0] * 1000 + numbers[1] / 1000)
    }
}

/// Where a listing stands: at which primary, and where in its table.
private struct ScanPosition {
    /// The name of the primary; `nil` for the first.
    let primary: String?
    let cursor: String

    init(_ listingCursor: ListingCursor?) throws(StoreError) {
        guard let text = listingCursor?.rawValue else {
            (self.primary, self.cursor) = (nil, "0")
            return
        }
        let parts = text.split(separator: "@", maxSplits: 1)
        guard parts.count == 2, let cursor = UInt64(parts[0]) else {
            throw StoreError(.misconfigured, "That is no cursor of a listing in Redis.")
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

    var listingCursor: ListingCursor { ListingCursor(rawValue: "\(self.cursor)@\(self.primary ?? "")") }
}

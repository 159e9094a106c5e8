public import Idemptx

extension RedisStore {
    /// What was read of a key, by which a later change notices that the record has changed since.
    struct Reading {
        let record: IdempotencyRecord?
        /// The start of the record; empty if there is none.
        let header: [UInt8]
        /// In milliseconds; -1 if it does not expire.
        let lifetime: Int64
        let now: Timestamp
    }

    private static let maximumTries = 32

    /// Reads the record of a key, computes what becomes of it, and writes that unless the record has changed meanwhile;
    /// if it has, starts over.
    public func transact<Result: Sendable>(
        _ key: StorageKey,
        priority: TransactionPriority,
        timeout: Duration?,
        _ step: @escaping @Sendable (inout IdempotencyRecord?, Timestamp) throws -> Result
    ) async throws -> Result {
        let deadline = timeout.map { ContinuousClock.now.advanced(by: $0) }
        return try await self.transact(key, priority, nil, deadline) { stored, now in
            var record = stored
            let result = try step(&record, now)
            return Transition(result, RecordChange(from: stored, to: record))
        }
    }

    // The rule is that of a claim; `nil` if it is none, or its rule is not known.
    func transact<Result: Sendable>(
        _ key: StorageKey,
        _ priority: TransactionPriority,
        _ rule: UnknownOutcomeRule.Kind?,
        _ deadline: ContinuousClock.Instant?,
        _ step: (IdempotencyRecord?, Timestamp) throws -> Transition<Result>
    ) async throws -> Result {
        for _ in 0..<Self.maximumTries {
            let reading = try await self.read(key)
            let transition = try step(reading.record, reading.now)
            if try await self.apply(transition.change, to: key, reading, priority, rule, deadline) {
                return transition.result
            }
        }
        throw StoreError(recordBusy: "A record changed faster than it could be changed here.")
    }

    /// The record of a key and the time, read in one step.
    func read(_ key: StorageKey) async throws -> Reading {
        for _ in 0..<3 {
            let (name, sentAt) = (self.names.key(of: key), ContinuousClock.now)
            let replies = try await self.run(RecordScripts.read, [name], [.text("-1")])
            let (now, lifetime, bytes) = try replies[0].get().reading()
            self.clock.note(now, sentAt: sentAt)
            if bytes.isEmpty { return Reading(record: nil, header: [], lifetime: 0, now: now) }
            guard let whole = StoredRecord.isDetached(bytes) ? try await self.outcome(of: key, bytes) : bytes else {
                continue
            }
            return Reading(
                record: try StoredRecord.decode(whole, lifetime: lifetime, now: now),
                header: Array(bytes.prefix(RecordCodec.headerSize)), lifetime: lifetime, now: now)
        }
        throw StoreError(.corruptRecord, "The outcome of a record is missing.")
    }

    /// The whole of a record whose outcome is under a key of its own; `nil` if that belongs to another one.
    func outcome(of key: StorageKey, _ header: [UInt8]) async throws -> [UInt8]? {
        let name = self.names.outcome(of: key)
        var command = RedisCommand([.text("GET"), name])
        command.isLarge = true
        let reply = try await self.executor.execute(command, key: name)
        // The same owner has one outcome at most.
        guard case .bytes(let bytes) = reply, bytes.starts(with: header.prefix(8)),
            bytes.dropFirst(40).prefix(OwnerToken.byteCount) == header.dropFirst(40).prefix(OwnerToken.byteCount)
        else { return nil }
        return bytes
    }

    /// - Returns: `false` if the record has changed since it was read; nothing was done then.
    private func apply(
        _ change: RecordChange,
        to key: StorageKey,
        _ reading: Reading,
        _ priority: TransactionPriority,
        _ rule: UnknownOutcomeRule.Kind?,
        _ deadline: ContinuousClock.Instant?
    ) async throws -> Bool {
        let record: StoredRecord?
        switch change {
        case .none: return true
        case .remove: record = nil
        case .write(let written):
            record = StoredRecord(written, now: reading.now)
            if let record { try self.checkSize(record) }
        }
        let isClaim = priority == .claim
        let isHeld = record.map { $0.isClaimed && $0.lease > 0 } ?? false
        let publishCommand = isHeld ? .none : [UInt8].text(try await self.executor.publishCommand())
        let name = self.names.key(of: key)
        for _ in 0..<3 {
            let notAfter = try await self.notAfter(isClaim && rule != .rerun ? deadline : nil, name)
            let sentAt = ContinuousClock.now
            let replies = try await self.run(
                RecordScripts.swap,
                [name, self.names.outcome(of: key)] + self.index(!self.executor.isCluster),
                [
                    reading.header, .number(reading.lifetime), record?.bytes ?? .none, .number(record?.lifetime ?? 0),
                    .flag(isClaim), notAfter, publishCommand, self.names.channel(of: key), record?.detached ?? .none,
                    .text(self.indexChange(record, rule)), .number(record?.lease ?? 0),
                ],
                followedBy: isHeld && !isClaim ? nil : self.configuration.acknowledgement?.command)
            let elements = try replies[0].get().elements
            if elements.count == 2, case .integer(let now) = elements[1] {
                self.clock.note(Timestamp(milliseconds: Int64(now)), sentAt: sentAt)
            }
            switch elements.first?.text {
            case "changed": return false
            case "late":
                if let deadline, deadline <= .now { throw StoreError.tooLate }
            case "changed by this":
                try self.requireAcknowledgement(of: replies)
                return true
            default: throw RedisReply.unexpected
            }
        }
        throw StoreError.tooLate
    }

    /// What becomes of the record's place in the index.
    private func indexChange(_ record: StoredRecord?, _ rule: UnknownOutcomeRule.Kind?) -> String {
        if self.executor.isCluster { return "" }
        guard let record, record.isClaimed else { return "remove" }
        // Where the rule is not known, it is that of the claim that is in the index or is not.
        guard let rule else { return "update" }
        return self.indexes(rule) ? "add" : "remove"
    }
}

extension RedisReply {
    /// What ``RecordScripts/read`` returned.
    func reading() throws(StoreError) -> (now: Timestamp, lifetime: Int64, bytes: [UInt8]) {
        let elements = self.elements
        guard elements.count == 3, case .integer(let now) = elements[0], case .integer(let lifetime) = elements[1],
            case .bytes(let bytes) = elements[2]
        else { throw Self.unexpected }
        return (Timestamp(milliseconds: Int64(now)), Int64(lifetime), bytes)
    }

    /// The reply to `TIME`: seconds, and microseconds of the second.
    func timestamp() throws(StoreError) -> Timestamp {
        let numbers = self.elements.compactMap { $0.text.flatMap { Int64($0) } }
        guard numbers.count == 2 else { throw Self.unexpected }
        return Timestamp(milliseconds: numbers[0] * 1000 + numbers[1] / 1000)
    }

    static var unexpected: StoreError {
        StoreError(.replyLost, "Redis sent a reply that the command does not make.")
    }
}

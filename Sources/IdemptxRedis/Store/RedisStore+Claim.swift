public import Idemptx
import Synchronization

extension RedisStore {
    /// Asks to run an operation.
    public func claim(_ request: ClaimRequest) async throws -> ClaimResult<Claim> {
        let deadline = try self.deadline(of: request)
        let reply =
            request.onAbandoned == .rerun && self.hasNativeClaim.load(ordering: .relaxed)
            ? try await self.claimNatively(request)
            : try await self.claimByScript(request, deadline)
        switch reply {
        case .granted: return .granted(Claim(granting: request, ClaimGrant(attempt: 1)))
        case .settled(let result): return result.map { Claim(granting: request, $0) }
        case .unsettled:
            return try await self.transact(request.key, .claim, request.onAbandoned, deadline) { record, now in
                RecordTransitions.claim(record, request, now: now)
            }.map { Claim(granting: request, $0) }
        }
    }

    /// What one round trip comes to.
    private enum FirstReply {
        case granted
        /// The record decides, whatever the time.
        case settled(ClaimResult<ClaimGrant>)
        /// The record is claimed or free.
        case unsettled
    }

    /// `nil` if the claim has no timeout.
    private func deadline(of request: ClaimRequest) throws(StoreError) -> ContinuousClock.Instant? {
        if let timeout = request.timeout, timeout < .zero { throw .tooLate }
        let timeouts = [request.timeout, self.callTimeout].compactMap { $0 }
        return timeouts.min().map { ContinuousClock.now.advanced(by: $0) }
    }

    /// The record of a first attempt.
    private func firstRecord(_ request: ClaimRequest) -> StoredRecord {
        let now = self.clock.time(at: .now) ?? TimeSource.wallClock.now
        return StoredRecord(
            IdempotencyRecord(
                fingerprint: request.fingerprint, owner: request.owner, attempt: 1, created: now,
                expires: request.retention.expiry(lease: request.lease, now: now),
                state: .claimed(leaseEnd: now.advanced(by: request.lease))),
            now: now)
    }

    /// Claims and replays by one command, which cannot tell how late it is.
    private func claimNatively(_ request: ClaimRequest) async throws -> FirstReply {
        let key = self.names.key(of: request.key)
        let record = self.firstRecord(request)
        let command = RedisCommand([
            Word.set, key, record.bytes, Word.milliseconds, .number(record.lifetime), Word.ifAbsent, Word.get,
        ])
        let acknowledgement = self.configuration.acknowledgement.map { [$0.command] } ?? []
        let replies = try await self.executor.checkedExecute([command] + acknowledgement, key: key)
        switch replies[0] {
        case .null:
            try self.requireAcknowledgement(of: replies)
            return .granted
        case .bytes(let bytes):
            return try await self.firstReply(to: request, bytes)
        case .error(let message) where message.hasPrefix("ERR syntax error"):
            self.hasNativeClaim.store(false, ordering: .relaxed)
            return try await self.claimByScript(request, nil)
        case .error(let message) where StoreError(refusal: message).code == .unavailable:
            // A server that takes no writes now can replay all the same.
            return .unsettled
        default:
            _ = try replies[0].get()
            throw RedisReply.unexpected
        }
    }

    private func claimByScript(
        _ request: ClaimRequest, _ deadline: ContinuousClock.Instant?
    ) async throws -> FirstReply {
        let key = self.names.key(of: request.key)
        let isIndexed = self.indexes(request.onAbandoned)
        // A clock that was set makes a claim late that is not; the reply tells the time anew.
        for _ in 0..<3 {
            let notAfter = try await self.notAfter(request.onAbandoned == .rerun ? nil : deadline, key)
            let record = self.firstRecord(request)
            let sentAt = ContinuousClock.now
            let replies = try await self.run(
                RecordScripts.claim, [key] + self.index(isIndexed),
                [record.bytes, .number(record.lifetime), notAfter, isIndexed ? .number(record.lease) : .none],
                followedBy: self.configuration.acknowledgement?.command)
            let elements = try replies[0].get().elements
            guard elements.count >= 2, case .integer(let milliseconds) = elements[1] else {
                throw RedisReply.unexpected
            }
            self.clock.note(Timestamp(milliseconds: Int64(milliseconds)), sentAt: sentAt)
            switch (elements[0].text, elements.last) {
            case ("granted", _):
                try self.requireAcknowledgement(of: replies)
                return .granted
            case ("held", .bytes(let bytes)): return try await self.firstReply(to: request, bytes)
            case ("late", _):
                if let deadline, deadline <= .now { throw StoreError.tooLate }
            default: throw RedisReply.unexpected
            }
        }
        throw StoreError.tooLate
    }

    /// The result of a claim that met a record.
    private func firstReply(to request: ClaimRequest, _ bytes: [UInt8]) async throws -> FirstReply {
        // The times of a completed record do not matter; other records are decided elsewhere.
        guard bytes.count > 1, bytes[0] == 2, bytes[1] == 2 || bytes[1] == 3,
            let whole = StoredRecord.isDetached(bytes) ? try await self.outcome(of: request.key, bytes) : bytes
        else { return .unsettled }
        let record = try StoredRecord.decode(whole, lifetime: -1, now: .zero)
        return .settled(RecordTransitions.claim(record, request, now: .zero).result)
    }

    /// The deadline of a claim on the server's clock, as an argument; empty if there is none.
    ///
    /// A claim is refused from then on.
    func notAfter(_ deadline: ContinuousClock.Instant?, _ key: [UInt8]) async throws -> [UInt8] {
        guard let deadline else { return .none }
        if let time = self.clock.time(at: deadline) { return .number(time.milliseconds) }
        let sentAt = ContinuousClock.now
        self.clock.note(try await self.executor.execute(Word.time, key: key).timestamp(), sentAt: sentAt)
        return self.clock.time(at: deadline).map { .number($0.milliseconds) } ?? .none
    }
}

private enum Word {
    static let set: [UInt8] = .text("SET")
    static let milliseconds: [UInt8] = .text("PX")
    static let ifAbsent: [UInt8] = .text("NX")
    static let get: [UInt8] = .text("GET")
    static let time = RedisCommand("TIME")
}

extension StoreError {
    static let tooLate = StoreError(.unavailable, "Redis got to a claim after its caller had given up.")
}

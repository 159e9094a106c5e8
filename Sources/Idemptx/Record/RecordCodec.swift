import HTTPTypes

/// The binary form of an ``IdempotencyRecord``, as stores keep it.
///
/// A header of fixed layout, so that a store can compare and change its fields by byte range, then the outcome. All
/// integers are big-endian, times are milliseconds.
///
/// | bytes | field |
/// |---|---|
/// | 0 | version of the format: 2 |
/// | 1 | state: 1 claimed, 2 completed with a response, 3 completed with a tombstone, 4 free |
/// | 2 | time base: 0 if the end of the lease is a moment on the store's clock, 1 if it is a span before the expiry |
/// | 3 | 0 |
/// | 4-7 | attempt |
/// | 8-15 | end of the lease; 0 unless claimed |
/// | 16-23 | first claimed |
/// | 24-31 | expires; the largest number stands for never; 0 with time base 1 |
/// | 32-39 | when the lease of the attempt before ended, if its outcome is unknown; else 0 |
/// | 40-55 | owner token |
/// | 56-59 | recipe of the fingerprint |
/// | 60-91 | digest of the fingerprint |
/// | 92-99 | checksum of bytes 40-91 |
/// | 100-107 | completed only: checksum of the state and what follows |
/// | 108- | completed only: the outcome, each part after its length |
///
/// **Time base 1** is for stores that keep the expiry of a record beside it, such as Redis. A renewal then moves the
/// expiry and changes no byte of the record.
///
/// **Checksums** find damage; they do not protect against a writer with access to the store. They cover what only
/// the owner of a claim writes. What a store changes by itself (bytes 1-39) is not covered, so that a script inside a
/// server need not compute them.
///
/// Records of version 1 can be read; they are written as version 2 when they change.
package enum RecordCodec {
    /// The size of the header, in bytes: enough to read a `RecordHeader`.
    package static let headerSize = 100

    static let version: UInt8 = 2
    private static let ownedRange = 40..<92
    private static let payloadOffset = 108

    // MARK: Encoding

    /// The binary form of `record`.
    ///
    /// - Parameters:
    ///   - record: Any record.
    ///   - relativeToExpiry: Whether the store keeps the expiry of the record beside it: time base 1.
    /// - Returns: The bytes that ``decode(_:expires:)`` turns into an equal record.
    package static func encode(_ record: IdempotencyRecord, relativeToExpiry: Bool = false) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.payloadOffset + record.state.encodedSizeEstimate)
        bytes.append(self.version)
        bytes.append(record.state.code)
        bytes.append(relativeToExpiry ? 1 : 0)
        bytes.append(0)
        bytes.append(bigEndian: UInt32(clamping: record.attempt))
        if case .claimed(let leaseEnd) = record.state {
            bytes.append(relativeToExpiry ? leaseEnd.span(until: record.expires) : leaseEnd)
        } else {
            bytes.append(.zero)
        }
        bytes.append(record.created)
        bytes.append(relativeToExpiry ? .zero : record.expires)
        bytes.append(record.unknownSince ?? .zero)
        record.owner.append(to: &bytes)
        bytes.append(bigEndian: record.fingerprint.recipe)
        bytes.append(contentsOf: record.fingerprint.digest.bytes)
        bytes.append(bigEndian: Self.checksum(of: bytes, in: self.ownedRange))
        guard case .completed(let outcome) = record.state else { return bytes }
        bytes.append(bigEndian: UInt64(0))
        self.append(outcome, to: &bytes)
        bytes.replace(at: self.headerSize, bigEndian: self.payloadChecksum(of: bytes))
        return bytes
    }

    private static func append(_ outcome: Outcome, to bytes: inout [UInt8]) {
        switch outcome {
        case .response(let response):
            bytes.append(bigEndian: UInt16(response.status.code))
            bytes.append(field: response.status.reasonPhrase.utf8)
            bytes.append(compact: response.headerFields.count)
            for field in response.headerFields {
                bytes.append(field: field.name.rawName.utf8)
                bytes.append(valueOf: field)
            }
            bytes.append(contentsOf: response.body)
        case .tombstone(let tombstone):
            bytes.append(bigEndian: UInt16(clamping: tombstone.status))
            if let location = tombstone.location { bytes.append(field: location.utf8) }
        }
    }

    /// The state is part of it, so that a response is not read as a tombstone.
    private static func payloadChecksum(of bytes: [UInt8]) -> UInt64 {
        self.checksum(of: bytes, in: self.payloadOffset..<bytes.count, seed: bytes[1])
    }

    /// FNV-1a over words of eight bytes, most significant byte first, then over the bytes that are left, beginning with
    /// the number of bytes and the seed.
    ///
    /// Each step can be undone, so that no damage to a single word goes unseen.
    private static func checksum(of bytes: [UInt8], in range: Range<Int>, seed: UInt8 = 0) -> UInt64 {
        let prime: UInt64 = 0x100_0000_01B3
        // Safe: the buffer is not used after the closure, and every load is inside of it.
        return unsafe bytes.withUnsafeBytes { buffer in
            let bytes = unsafe UnsafeRawBufferPointer(rebasing: buffer[range])
            var hash: UInt64 = 0xCBF2_9CE4_8422_2325 ^ UInt64(range.count) ^ UInt64(seed) << 56
            var offset = 0
            while offset + 8 <= range.count {
                let word = unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                hash = (hash ^ UInt64(bigEndian: word)) &* prime
                hash ^= hash >> 32
                offset += 8
            }
            while offset < range.count {
                hash = unsafe (hash ^ UInt64(bytes[offset])) &* prime
                offset += 1
            }
            return hash
        }
    }

    // MARK: Decoding

    /// Reads a record back.
    ///
    /// - Parameters:
    ///   - bytes: What ``encode(_:relativeToExpiry:)`` returned.
    ///   - expires: When the store lets the record expire, if its times are relative to that.
    ///     `Timestamp/distantFuture` takes its place if it is not known.
    /// - Returns: The record.
    /// - Throws: ``StoreError`` with code ``StoreError/Code/corruptRecord`` if the bytes are damaged, or of a version of
    ///   the format that this version of the package does not know.
    package static func decode(_ bytes: [UInt8], expires: Timestamp? = nil) throws(StoreError) -> IdempotencyRecord {
        do {
            var reader = ByteReader(bytes[...])
            let header = try self.header(&reader, of: bytes, expires: expires)
            return IdempotencyRecord(
                fingerprint: header.fingerprint,
                owner: header.owner,
                attempt: header.attempt,
                created: header.created,
                expires: header.expires,
                unknownSince: header.unknownSince,
                state: try self.state(header, &reader, of: bytes)
            )
        } catch {
            throw StoreError(.corruptRecord, "A record cannot be read: \(error.reason).")
        }
    }

    /// Reads the header of a record, without its outcome.
    ///
    /// - Parameters:
    ///   - bytes: The first ``headerSize`` bytes, or more, of what ``encode(_:relativeToExpiry:)`` returned.
    ///   - expires: When the store lets the record expire, if its times are relative to that.
    /// - Returns: The header.
    /// - Throws: ``StoreError`` with code ``StoreError/Code/corruptRecord``, as ``decode(_:expires:)``.
    package static func decodeHeader(_ bytes: [UInt8], expires: Timestamp? = nil) throws(StoreError) -> RecordHeader {
        var reader = ByteReader(bytes[...])
        do {
            return try self.header(&reader, of: bytes, expires: expires)
        } catch {
            throw StoreError(.corruptRecord, "A record cannot be read: \(error.reason).")
        }
    }

    private static func header(
        _ reader: inout ByteReader,
        of bytes: [UInt8],
        expires keptUntil: Timestamp?
    ) throws(ByteReader.Damage) -> RecordHeader {
        let version: UInt8 = try reader.integer()
        if version == 1 { return try RecordCodecVersion1.header(&reader, of: bytes) }
        guard version == self.version else {
            throw .init(reason: "its format has version \(version), this package knows \(self.version)")
        }
        guard let state = RecordState(code: try reader.integer()) else { throw .init(reason: "its state is unknown") }
        let timeBase: UInt8 = try reader.integer()
        let reserved: UInt8 = try reader.integer()
        guard timeBase <= 1, reserved == 0 else { throw .init(reason: "its time base is unknown") }
        let attempt: UInt32 = try reader.integer()
        guard attempt > 0 else { throw .init(reason: "its attempt number is 0") }
        var (leaseEnd, created, expires) = (try reader.timestamp(), try reader.timestamp(), try reader.timestamp())
        // Told apart twice, since nothing else would show a damaged time base.
        guard (timeBase == 1) == (expires == .zero) else { throw .init(reason: "its time base is unknown") }
        if timeBase == 1 {
            expires = keptUntil ?? .distantFuture
            leaseEnd = leaseEnd.subtracted(from: expires)
        }
        let unknownSince = try reader.timestamp()
        let (owner, fingerprint) = try self.owned(&reader)
        guard try reader.integer(UInt64.self) == self.checksum(of: bytes, in: self.ownedRange)
        else { throw .init(reason: "its checksum does not match") }
        return RecordHeader(
            fingerprint: fingerprint,
            owner: owner,
            attempt: Int(attempt),
            created: created,
            expires: expires,
            unknownSince: unknownSince == .zero ? nil : unknownSince,
            state: state,
            leaseEnd: state == .claimed ? leaseEnd : nil
        )
    }

    static func owned(_ reader: inout ByteReader) throws(ByteReader.Damage) -> (OwnerToken, Fingerprint) {
        let ownerBytes = try reader.bytes(OwnerToken.byteCount)
        let recipe: UInt32 = try reader.integer()
        let digestBytes = try reader.bytes(Digest32.byteCount)
        guard let owner = OwnerToken(bytes: ownerBytes), let digest = Digest32(digestBytes) else {
            throw .init(reason: "it ends too early")
        }
        return (owner, Fingerprint(recipe: recipe, digest: digest))
    }

    private static func state(
        _ header: RecordHeader,
        _ reader: inout ByteReader,
        of bytes: [UInt8]
    ) throws(ByteReader.Damage) -> IdempotencyRecord.State {
        switch header.state {
        case .completed:
            try self.checkPayload(&reader, of: bytes)
            return .completed(.response(try self.response(&reader)))
        case .tombstone:
            try self.checkPayload(&reader, of: bytes)
            return .completed(.tombstone(try self.tombstone(&reader)))
        case .claimed, .unknown, .free, .unreadable:
            guard reader.remainder.isEmpty else { throw .init(reason: "it is too long") }
            return header.leaseEnd.map { .claimed(leaseEnd: $0) } ?? .free
        }
    }

    private static func checkPayload(_ reader: inout ByteReader, of bytes: [UInt8]) throws(ByteReader.Damage) {
        let isIntact =
            bytes[0] == 1
            ? try RecordCodecVersion1.checkPayload(&reader)
            : try reader.integer(UInt64.self) == self.payloadChecksum(of: bytes)
        guard isIntact else { throw .init(reason: "its checksum does not match") }
    }

    private static func response(_ reader: inout ByteReader) throws(ByteReader.Damage) -> StoredResponse {
        let code = try self.statusCode(&reader)
        let status = HTTPResponse.Status(code: code, reasonPhrase: try reader.text())
        var fields = HTTPFields()
        for _ in 0..<(try reader.compactInteger()) {
            guard let name = HTTPField.Name(try reader.text()) else { throw .init(reason: "a field name is invalid") }
            fields.append(HTTPField(name: name, lenientValue: try reader.field()))
        }
        return StoredResponse(status: status, headerFields: fields, body: Array(reader.remainder))
    }

    private static func tombstone(_ reader: inout ByteReader) throws(ByteReader.Damage) -> Tombstone {
        let code = try self.statusCode(&reader)
        return Tombstone(status: code, location: reader.remainder.isEmpty ? nil : try reader.text())
    }

    private static func statusCode(_ reader: inout ByteReader) throws(ByteReader.Damage) -> Int {
        let code: UInt16 = try reader.integer()
        guard code <= 999 else { throw .init(reason: "its status code is out of range") }
        return Int(code)
    }
}

extension RecordState {
    /// The state that byte 1 stands for.
    init?(code: UInt8) {
        switch code {
        case 1: self = .claimed
        case 2: self = .completed
        case 3: self = .tombstone
        case 4: self = .free
        default: return nil
        }
    }
}

extension IdempotencyRecord.State {
    /// Byte 1.
    fileprivate var code: UInt8 {
        switch self {
        case .claimed: 1
        case .completed(.response): 2
        case .completed(.tombstone): 3
        case .free: 4
        }
    }

    /// Enough room for most outcomes.
    fileprivate var encodedSizeEstimate: Int {
        switch self {
        case .claimed, .free: 0
        case .completed(.tombstone): 128
        case .completed(.response(let response)): response.body.count + 64 + response.headerFields.count * 48
        }
    }
}

extension Timestamp {
    fileprivate static let zero = Timestamp(milliseconds: 0)

    /// How long it is until `other`, in the place of a moment.
    fileprivate func span(until other: Timestamp) -> Timestamp {
        Timestamp(milliseconds: self.duration(to: other).wholeMilliseconds)
    }

    /// The moment that lies this span before `other`; never, if `other` is.
    fileprivate func subtracted(from other: Timestamp) -> Timestamp {
        other == .distantFuture ? other : other.advanced(by: .zero - .milliseconds(self.milliseconds))
    }
}

extension [UInt8] {
    fileprivate mutating func append(_ time: Timestamp) {
        self.append(bigEndian: UInt64(bitPattern: time.milliseconds))
    }

    fileprivate mutating func replace(at offset: Int, bigEndian integer: UInt64) {
        for index in 0..<8 {
            self[offset + index] = UInt8(truncatingIfNeeded: integer >> UInt64(56 - 8 * index))
        }
    }

    /// Appends the value of a header field as it was received; `HTTPField.value` would repair bytes that are not UTF-8.
    fileprivate mutating func append(valueOf field: HTTPField) {
        // Safe: the buffer is copied before the call returns.
        unsafe field.withUnsafeBytesOfValue { value in
            self.append(compact: value.count)
            unsafe self.append(contentsOf: value)
        }
    }
}

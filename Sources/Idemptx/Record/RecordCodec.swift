import Crypto
import HTTPTypes

/// The binary form of an ``IdempotencyRecord``, as stores keep it.
///
/// A header of fixed layout, so that a store can compare and change its fields by byte range, then the outcome. All
/// integers are big-endian, times are milliseconds on the store's clock.
///
/// | bytes | field |
/// |---|---|
/// | 0 | version of the format: 1 |
/// | 1 | state: 1 claimed, 2 completed with a response, 3 completed with a tombstone |
/// | 2-5 | attempt |
/// | 6-21 | owner token |
/// | 22-25 | recipe of the fingerprint |
/// | 26-57 | digest of the fingerprint |
/// | 58-65 | end of the lease; 0 once completed |
/// | 66-73 | first claimed |
/// | 74-81 | expires |
/// | 82-89 | the first eight hexadecimal digits of the SHA-1 digest of bytes 0-81, in which a script can compute it |
/// | 90-97 | completed only: the first eight bytes of the SHA-256 digest of what follows |
/// | 98- | completed only: the outcome, each part after its length |
///
/// The digests find damage; they are no protection against somebody who can write to the store.
public enum RecordCodec {
    /// The size of the header, in bytes: enough to read a ``RecordHeader``.
    public static let headerSize = 90

    private static let version: UInt8 = 1
    private static let fieldsSize = 82
    private static let checksumSize = 8
    private static let expiryOffset = 74

    private enum StateCode: UInt8 {
        case claimed = 1
        case response
        case tombstone
        case free

        func phase(leaseEnd: Timestamp) -> RecordHeader.Phase {
            switch self {
            case .claimed: .claimed(leaseEnd: leaseEnd)
            case .response: .response
            case .tombstone: .tombstone
            case .free: .free
            }
        }
    }

    // MARK: Encoding

    /// The binary form of `record`.
    ///
    /// - Parameter record: Any record.
    /// - Returns: The bytes that ``decode(_:)`` turns into an equal record.
    public static func encode(_ record: IdempotencyRecord) -> [UInt8] {
        let (state, leaseEnd, payload) = self.parts(of: record.state)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(self.headerSize + self.checksumSize + payload.count)
        bytes.append(self.version)
        bytes.append(state.rawValue)
        bytes.append(bigEndian: UInt32(clamping: record.attempt))
        bytes.append(contentsOf: record.owner.bytes)
        bytes.append(bigEndian: record.fingerprint.recipe)
        bytes.append(contentsOf: record.fingerprint.digest.bytes)
        for time in [leaseEnd, record.created, record.expires] {
            bytes.append(bigEndian: UInt64(bitPattern: time.milliseconds))
        }
        bytes.append(contentsOf: self.headerChecksum(bytes[...]))
        if state != .claimed && state != .free {
            bytes.append(contentsOf: self.checksum(payload[...]))
            bytes.append(contentsOf: payload)
        }
        return bytes
    }

    private static func parts(of state: IdempotencyRecord.State) -> (StateCode, leaseEnd: Timestamp, payload: [UInt8]) {
        let noLease = Timestamp(milliseconds: 0)
        return switch state {
        case .claimed(let leaseEnd): (.claimed, leaseEnd, [])
        case .completed(.response(let response)): (.response, noLease, self.encode(response))
        case .completed(.tombstone(let tombstone)): (.tombstone, noLease, self.encode(tombstone))
        case .free: (.free, noLease, [])
        }
    }

    private static func encode(_ response: StoredResponse) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(response.body.count + 256)
        bytes.append(bigEndian: UInt16(response.status.code))
        bytes.append(field: response.status.reasonPhrase.utf8)
        bytes.append(compact: response.headerFields.count)
        for field in response.headerFields {
            bytes.append(field: field.name.rawName.utf8)
            bytes.append(field: field.valueBytes)
        }
        bytes.append(contentsOf: response.body)
        return bytes
    }

    private static func encode(_ tombstone: Tombstone) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(bigEndian: UInt16(clamping: tombstone.status))
        if let location = tombstone.location { bytes.append(field: location.utf8) }
        return bytes
    }

    private static func headerChecksum(_ fields: ArraySlice<UInt8>) -> some Sequence<UInt8> {
        Array(Insecure.SHA1.hash(data: fields)).hexadecimal.utf8.prefix(self.checksumSize)
    }

    private static func checksum(_ payload: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        Digest32(hashing: Array(payload)).bytes.prefix(self.checksumSize)
    }

    // MARK: Decoding

    /// Reads a record back.
    ///
    /// - Parameter bytes: What ``encode(_:)`` returned.
    /// - Returns: The record.
    /// - Throws: ``StoreError`` with code ``StoreError/Code/corruptRecord`` if the bytes are damaged, or of a version of
    ///   the format that this version of the package does not know.
    public static func decode(_ bytes: [UInt8]) throws(StoreError) -> IdempotencyRecord {
        do {
            return try self.record(from: bytes)
        } catch {
            throw StoreError(.corruptRecord, "A record cannot be read: \(error.reason).")
        }
    }

    /// When a record expires, read without decoding the rest of it.
    ///
    /// - Parameter bytes: What ``encode(_:)`` returned.
    /// - Returns: The expiry, or `nil` if the bytes are too few.
    public static func expiry(of bytes: [UInt8]) -> Timestamp? {
        var reader = ByteReader(bytes.dropFirst(self.expiryOffset))
        return try? reader.timestamp()
    }

    /// Reads the header of a record, without its outcome.
    ///
    /// - Parameter bytes: The first ``headerSize`` bytes, or more, of what ``encode(_:)`` returned.
    /// - Returns: The header.
    /// - Throws: ``StoreError`` with code ``StoreError/Code/corruptRecord``, as ``decode(_:)``.
    public static func decodeHeader(_ bytes: [UInt8]) throws(StoreError) -> RecordHeader {
        var reader = ByteReader(bytes[...])
        do {
            return try self.header(&reader, of: bytes)
        } catch {
            throw StoreError(.corruptRecord, "A record cannot be read: \(error.reason).")
        }
    }

    private static func record(from bytes: [UInt8]) throws(ByteReader.Damage) -> IdempotencyRecord {
        var reader = ByteReader(bytes[...])
        let header = try self.header(&reader, of: bytes)
        return IdempotencyRecord(
            fingerprint: header.fingerprint,
            owner: header.owner,
            attempt: header.attempt,
            created: header.created,
            expires: header.expires,
            state: try self.state(header.phase, &reader)
        )
    }

    private static func header(
        _ reader: inout ByteReader,
        of bytes: [UInt8]
    ) throws(ByteReader.Damage) -> RecordHeader {
        let version: UInt8 = try reader.integer()
        guard version == self.version else {
            throw .init(reason: "its format has version \(version), this package knows \(self.version)")
        }
        guard let state = StateCode(rawValue: try reader.integer()) else { throw .init(reason: "its state is unknown") }
        let attempt: UInt32 = try reader.integer()
        guard attempt > 0 else { throw .init(reason: "its attempt number is 0") }
        let ownerBytes = try reader.bytes(OwnerToken.byteCount)
        let recipe: UInt32 = try reader.integer()
        let digestBytes = try reader.bytes(Digest32.byteCount)
        guard let owner = OwnerToken(bytes: ownerBytes), let digest = Digest32(digestBytes) else {
            throw .init(reason: "it ends too early")
        }
        let (leaseEnd, created, expires) = (try reader.timestamp(), try reader.timestamp(), try reader.timestamp())
        guard try reader.bytes(self.checksumSize).elementsEqual(self.headerChecksum(bytes.prefix(self.fieldsSize)))
        else { throw .init(reason: "its checksum does not match") }
        return RecordHeader(
            fingerprint: Fingerprint(recipe: recipe, digest: digest),
            owner: owner,
            attempt: Int(attempt),
            created: created,
            expires: expires,
            phase: state.phase(leaseEnd: leaseEnd)
        )
    }

    private static func state(
        _ phase: RecordHeader.Phase,
        _ reader: inout ByteReader
    ) throws(ByteReader.Damage) -> IdempotencyRecord.State {
        if case .claimed(let leaseEnd) = phase {
            guard reader.remainder.isEmpty else { throw .init(reason: "it is too long") }
            return .claimed(leaseEnd: leaseEnd)
        }
        if phase == .free { return .free }
        let checksum = try reader.bytes(self.checksumSize)
        guard checksum.elementsEqual(self.checksum(reader.remainder)) else {
            throw .init(reason: "its checksum does not match")
        }
        return .completed(
            phase == .response ? .response(try self.response(&reader)) : .tombstone(try self.tombstone(&reader)))
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

extension HTTPField {
    /// The value as it was received; ``value`` would repair bytes that are not UTF-8.
    fileprivate var valueBytes: [UInt8] {
        // Safe: the buffer is copied before the call returns.
        unsafe self.withUnsafeBytesOfValue { unsafe Array($0) }
    }
}

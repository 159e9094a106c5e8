import HTTPTypes

@testable import Idemptx
@testable import IdemptxPostgres

/// Any record comes back as it was, and any outcome from PostgreSQL's columns, byte for byte; a record with too few bytes,
/// or with damage to one that a checksum covers (from byte 40 on), does not.
struct RecordCheck {
    var decode: @Sendable ([UInt8]) throws -> IdempotencyRecord = { try RecordCodec.decode($0) }
    var outcome: @Sendable (OutcomeColumns) throws -> Outcome = { try $0.outcome() }

    func check(_ input: [UInt8]) throws {
        if let record = try? self.decode(input) {
            let again = try self.decode(RecordCodec.encode(record))
            try Violation.unless(again == record, "What was read is not what is written")
        }
        _ = try? RecordCodec.decodeHeader(input)
        _ = try? self.outcome(OutcomeColumns(status: 201, head: input, body: []))
        var reader = ByteReader(input[...])
        guard let (record, damage, place) = try? Self.record(&reader) else { return }
        let bytes = RecordCodec.encode(record)
        let read = try self.decode(bytes)
        // Reason phrases and the order of header fields make no difference to what is equal.
        try Violation.unless(read == record && RecordCodec.encode(read) == bytes, "A record does not come back")
        let relative = RecordCodec.encode(record, relativeToExpiry: true)
        try Violation.unless(
            try RecordCodec.decode(relative, expires: record.expires) == record,
            "A record beside its expiry does not come back")
        if let outcome = record.outcome {
            let columns = OutcomeColumns(outcome)
            let read = try self.outcome(columns)
            try Violation.unless(
                read == outcome && OutcomeColumns(read).head == columns.head,
                "An outcome does not come back from columns")
        }
        var damaged = bytes
        let index = 40 + place % (bytes.count - 40)
        damaged[index] ^= max(1, damage)
        try Violation.unless((try? self.decode(damaged)) == nil, "Damage to byte \(index) was not seen")
        let shortened = Array(bytes.dropLast(1 + place % bytes.count))
        try Violation.unless((try? self.decode(shortened)) == nil, "Damage by an early end was not seen")
    }

    private static func record(
        _ reader: inout ByteReader
    ) throws(ByteReader.Damage) -> (IdempotencyRecord, damage: UInt8, place: Int) {
        let (kind, damage) = (try reader.integer(UInt8.self), try reader.integer(UInt8.self))
        let place = Int(try reader.integer(UInt16.self))
        let digest = try reader.bytes(32)
        guard let owner = OwnerToken(bytes: try reader.bytes(16)),
            let fingerprint = Fingerprint(recipe: try reader.integer(), digestBytes: Array(digest))
        else { throw .init(reason: "no record") }
        let (attempt, isUnknown) = (max(1, Int(try reader.integer(UInt32.self))), kind & 4 != 0)
        let (created, expires) = (try Self.moment(&reader), try Self.moment(&reader))
        let unknownSince = isUnknown ? try Self.moment(&reader) : nil
        return (
            IdempotencyRecord(
                fingerprint: fingerprint, owner: owner, attempt: attempt, created: created, expires: expires,
                unknownSince: unknownSince, state: try Self.state(kind % 4, &reader)),
            damage, place
        )
    }

    /// Neither zero, which stands for none, nor so late that there is nothing after it.
    private static func moment(_ reader: inout ByteReader) throws(ByteReader.Damage) -> Timestamp {
        Timestamp(milliseconds: Int64(try reader.integer(UInt64.self) >> 8) + 1)
    }

    private static func state(
        _ kind: UInt8, _ reader: inout ByteReader
    ) throws(ByteReader.Damage) -> IdempotencyRecord.State {
        switch kind {
        case 0: return .claimed(leaseEnd: try Self.moment(&reader))
        case 1: return .free
        case 2:
            let status = Int(try reader.integer(UInt16.self))
            // As the value of a header field, which it is.
            let location = (try? reader.text()).map { HTTPField(name: .location, value: $0).value }
            return .completed(.tombstone(Tombstone(status: status, location: location)))
        default:
            let status = Int(try reader.integer(UInt16.self)) % 1000
            var response = StoredResponse(status: .init(code: status, reasonPhrase: (try? reader.text()) ?? ""))
            for _ in 0..<(try reader.integer(UInt8.self)) {
                guard let name = HTTPField.Name(try reader.text()) else { continue }
                response.headerFields.append(HTTPField(name: name, value: try reader.text()))
            }
            response.body = Array(reader.remainder)
            return .completed(.response(response))
        }
    }
}

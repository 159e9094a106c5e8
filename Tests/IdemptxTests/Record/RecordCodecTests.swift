import Crypto
import HTTPTypes
import Idemptx
import IdemptxTesting
import Testing

@Suite("The binary form of a record")
struct RecordCodecTests {
    private let key: IdempotencyKey

    init() throws {
        self.key = try IdempotencyKey("k")
    }

    private static func record(_ state: IdempotencyRecord.State, attempt: Int = 1) throws -> IdempotencyRecord {
        IdempotencyRecord(
            fingerprint: Fingerprint(ofBytes: [1]),
            owner: try #require(OwnerToken(bytes: Array(repeating: 0xAB, count: 16))), attempt: attempt,
            created: Timestamp(milliseconds: 1), expires: Timestamp(milliseconds: 3), state: state)
    }

    private static func response(fields: HTTPFields = [:], body: [UInt8] = []) -> IdempotencyRecord.State {
        .completed(.response(StoredResponse(status: .created, headerFields: fields, body: body)))
    }

    static let states: [IdempotencyRecord.State] = [
        .claimed(leaseEnd: Timestamp(milliseconds: 2)),
        .claimed(leaseEnd: Timestamp(milliseconds: -5)),
        response(),
        response(fields: [.location: "/a", .eTag: "b"], body: [0, 1, 255]),
        response(body: Array(repeating: 7, count: 100_000)),
        .completed(.tombstone(Tombstone(status: 201, location: "/charges/1"))),
        .completed(.tombstone(Tombstone(status: 500))),
        .free,
    ]

    @Test("What is encoded is decoded", arguments: states, [1, 2, 4_294_967_295])
    func roundTrip(state: IdempotencyRecord.State, attempt: Int) throws {
        let record = try Self.record(state, attempt: attempt)
        #expect(try RecordCodec.decode(RecordCodec.encode(record)) == record)
    }

    @Test("A tombstone of no HTTP status can be read back", arguments: [(36_962, 999), (-1, 0)])
    func tombstoneStatus(written: Int, read: Int) throws {
        let record = try Self.record(.completed(.tombstone(Tombstone(status: written))), attempt: 1)
        let decoded = try RecordCodec.decode(RecordCodec.encode(record))
        #expect(decoded.outcome == .tombstone(Tombstone(status: read)))
    }

    @Test("Order, repetition and spelling of header fields survive, and bytes that are no text")
    func headerFields() throws {
        var fields = HTTPFields()
        let names = try ["X-b", "x-A", "X-B"].map { try #require(HTTPField.Name($0)) }
        fields.append(HTTPField(name: names[0], value: "1"))
        fields.append(HTTPField(name: names[1], lenientValue: [0xE9, 0xFF]))
        fields.append(HTTPField(name: names[2], value: ""))
        fields.append(HTTPField(name: names[0], value: "2, 3"))
        let record = try RecordCodec.decode(RecordCodec.encode(Self.record(Self.response(fields: fields))))
        guard case .completed(.response(let response)) = record.state else {
            Issue.record("A response is decoded as one")
            return
        }
        #expect(response.headerFields.map(\.name.rawName) == ["X-b", "x-A", "X-B", "X-b"])
        #expect(response.headerFields.map { Array($0.value.utf8) } == fields.map { Array($0.value.utf8) })
        #expect(Array(response.headerFields) == Array(fields))
    }

    @Test("The header has the documented layout")
    func layout() throws {
        let bytes = RecordCodec.encode(try Self.record(.claimed(leaseEnd: Timestamp(milliseconds: 2)), attempt: 258))
        #expect(bytes.count == RecordCodec.headerSize)
        #expect(bytes[0..<4] == [2, 1, 0, 0])
        #expect(bytes[4..<8] == [0, 0, 1, 2])
        #expect(bytes[8..<16] == [0, 0, 0, 0, 0, 0, 0, 2])
        #expect(bytes[16..<24] == [0, 0, 0, 0, 0, 0, 0, 1])
        #expect(bytes[24..<32] == [0, 0, 0, 0, 0, 0, 0, 3])
        #expect(bytes[32..<40] == [0, 0, 0, 0, 0, 0, 0, 0])
        #expect(bytes[40..<56].allSatisfy { $0 == 0xAB })
        #expect(bytes[56..<60] == [0, 0, 0, 1])
        #expect(bytes[60..<92].elementsEqual(SHA256.hash(data: [1 as UInt8])))
        let states = try Self.states.map { RecordCodec.encode(try Self.record($0))[1] }
        #expect(states == [1, 1, 2, 2, 2, 3, 3, 4])
        var second = try Self.record(Self.states[0])
        second.unknownSince = Timestamp(milliseconds: 7)
        #expect(RecordCodec.encode(second)[32..<40] == [0, 0, 0, 0, 0, 0, 0, 7])
        #expect(try RecordCodec.decode(RecordCodec.encode(second)) == second)
    }

    @Test("Times can be relative to an expiry that the store keeps, so that a renewal changes no byte")
    func relativeToExpiry() throws {
        func record(at milliseconds: Int64) throws -> IdempotencyRecord {
            var record = try Self.record(.claimed(leaseEnd: Timestamp(milliseconds: milliseconds + 30)))
            record.expires = Timestamp(milliseconds: milliseconds + 100)
            return record
        }
        let bytes = RecordCodec.encode(try record(at: 1000), relativeToExpiry: true)
        #expect(bytes == RecordCodec.encode(try record(at: 2000), relativeToExpiry: true))
        #expect(bytes[2] == 1)
        #expect(bytes[8..<16] == [0, 0, 0, 0, 0, 0, 0, 70])
        #expect(bytes[24..<32].allSatisfy { $0 == 0 })
        #expect(try RecordCodec.decode(bytes, expires: Timestamp(milliseconds: 2100)) == record(at: 2000))
        #expect(try RecordCodec.decode(bytes).expires == .distantFuture)
        #expect(try RecordCodec.decodeHeader(bytes).leaseEnd == .distantFuture)
        for state in Self.states.dropFirst(2) {
            let record = try Self.record(state)
            let bytes = RecordCodec.encode(record, relativeToExpiry: true)
            #expect(try RecordCodec.decode(bytes, expires: record.expires) == record)
        }
    }

    @Test("A record of version 1 is read", arguments: states.dropLast())
    func version1(state: IdempotencyRecord.State) throws {
        let record = try Self.record(state, attempt: 3)
        let bytes = Self.version1(record)
        #expect(try RecordCodec.decode(bytes) == record)
        #expect(try RecordCodec.decodeHeader(Array(bytes.prefix(RecordCodec.headerSize))).attempt == 3)
        guard bytes.count < 1000 else { return }
        for position in 1..<bytes.count {
            var damaged = bytes
            damaged[position] ^= 1
            self.expectDamage(damaged, "byte \(position)")
        }
    }

    /// The form in which the first version of the package wrote records.
    private static func version1(_ record: IdempotencyRecord) -> [UInt8] {
        let new = RecordCodec.encode(record)
        let leaseEnd = new[8..<16]
        let fields = [1, new[1]] + new[4..<8] + new[40..<92] + leaseEnd + new[16..<32]
        let digest = Insecure.SHA1.hash(data: fields).prefix(4).flatMap { byte in
            let digits = String(byte, radix: 16)
            return Array((digits.count == 1 ? "0" + digits : digits).utf8)
        }
        guard new.count > RecordCodec.headerSize else { return fields + digest }
        return fields + digest + SHA256.hash(data: new[108...]).prefix(8) + new[108...]
    }

    @Test("The header can be read without the outcome", arguments: states)
    func header(state: IdempotencyRecord.State) throws {
        let record = try Self.record(state, attempt: 3)
        let header = try RecordCodec.decodeHeader(Array(RecordCodec.encode(record).prefix(RecordCodec.headerSize)))
        #expect(header.attempt == 3)
        #expect(header.owner == record.owner)
        #expect(header.fingerprint == record.fingerprint)
        #expect(header.created == record.created && header.expires == record.expires)
        switch record.state {
        case .claimed(let leaseEnd): #expect(header.state == .claimed && header.leaseEnd == leaseEnd)
        case .completed(.response): #expect(header.state == .completed)
        case .completed(.tombstone): #expect(header.state == .tombstone)
        case .free: #expect(header.state == .free)
        }
    }

    /// Expects an error that names what is wrong, and no trap.
    private func expectDamage(_ bytes: [UInt8], _ comment: Comment) {
        let error = #expect(throws: StoreError.self, comment) { try RecordCodec.decode(bytes) }
        #expect(error?.code == .corruptRecord, comment)
    }

    @Test("Every truncation is an error", arguments: states.filter { RecordCodecTests.size(of: $0) < 1000 })
    func truncated(state: IdempotencyRecord.State) throws {
        let bytes = RecordCodec.encode(try Self.record(state))
        for count in 0..<bytes.count { self.expectDamage(Array(bytes.prefix(count)), "\(count) of \(bytes.count)") }
        self.expectDamage(bytes + [0], "A byte too many")
    }

    private static func size(of state: IdempotencyRecord.State) -> Int {
        (try? RecordCodec.encode(self.record(state)).count) ?? 0
    }

    @Test("An unknown version, state or time base is an error", arguments: [0, 3, 255] as [UInt8])
    func unknown(value: UInt8) throws {
        let bytes = RecordCodec.encode(try Self.record(Self.states[0]))
        for position in 0..<4 where bytes[position] != value {
            var changed = bytes
            changed[position] = value
            self.expectDamage(changed, "byte \(position) is \(value)")
        }
    }

    @Test("Attempt 0 is an error")
    func attemptZero() throws {
        var bytes = RecordCodec.encode(try Self.record(Self.states[0]))
        bytes.replaceSubrange(4..<8, with: [0, 0, 0, 0])
        self.expectDamage(bytes, "attempt 0")
    }

    /// Bytes 4-39 are what a script inside a server changes, and have no checksum.
    @Test(
        "Every damaged byte that an owner wrote is an error",
        arguments: states.filter { RecordCodecTests.size(of: $0) < 1000 })
    func damaged(state: IdempotencyRecord.State) throws {
        let bytes = RecordCodec.encode(try Self.record(state))
        for position in bytes.indices where !(4..<40).contains(position) {
            for bit in 0..<8 {
                var damaged = bytes
                damaged[position] ^= 1 << bit
                self.expectDamage(damaged, "byte \(position), bit \(bit)")
            }
        }
    }

    @Test("No bytes at all trap the decoder", arguments: 0..<50)
    func fuzz(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let valid = try Self.states.filter { Self.size(of: $0) < 1000 }.map { RecordCodec.encode(try Self.record($0)) }
        for _ in 0..<500 {
            var bytes = valid.randomElement(using: &generator) ?? []
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            if Bool.random(using: &generator) { bytes.removeLast(Int.random(in: 0..<bytes.count, using: &generator)) }
            do {
                let record = try RecordCodec.decode(bytes)
                #expect(try RecordCodec.decode(RecordCodec.encode(record)) == record)
            } catch {
                #expect(error.code == .corruptRecord)
            }
        }
    }

    @Test(
        "An outcome whose checksum is right but whose content is not is an error",
        arguments: [
            (2, []), (2, [0]), (2, [3, 232]), (2, [0, 200]), (2, [0, 200, 2, 79]), (2, [0, 200, 0]),
            (2, [0, 200, 0, 1]), (2, [0, 200, 0, 1, 1, 120]), (2, [0, 200, 0, 1, 1, 32, 0]), (2, [0, 200, 1, 255, 0]),
            (2, [0, 200, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255]), (2, [0, 200, 0, 128]),
            (3, []), (3, [0]), (3, [3, 232]), (3, [0, 200, 5, 47]), (3, [0, 200, 1, 255]),
        ] as [(UInt8, [UInt8])])
    func forged(state: UInt8, payload: [UInt8]) throws {
        var bytes = Self.version1(try Self.record(Self.response()))
        bytes[1] = state
        bytes = Array(bytes.prefix(82))
        let digest = Insecure.SHA1.hash(data: bytes).prefix(4).flatMap { byte in
            let digits = String(byte, radix: 16)
            return Array((digits.count == 1 ? "0" + digits : digits).utf8)
        }
        self.expectDamage(bytes + digest + SHA256.hash(data: payload).prefix(8) + payload, "\(payload)")
    }

    @Test("The error does not quote the record")
    func errorText() throws {
        var bytes = RecordCodec.encode(try Self.record(Self.response(body: Array("secret".utf8))))
        bytes[bytes.count - 1] ^= 1
        let error = #expect(throws: StoreError.self) { try RecordCodec.decode(bytes) }
        #expect(
            "\(try #require(error))"
                == "StoreError(corruptRecord): A record cannot be read: its checksum does not match.")
    }
}

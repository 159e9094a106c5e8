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
    ]

    @Test("What is encoded is decoded", arguments: states, [1, 2, 4_294_967_295])
    func roundTrip(state: IdempotencyRecord.State, attempt: Int) throws {
        let record = try Self.record(state, attempt: attempt)
        #expect(try RecordCodec.decode(RecordCodec.encode(record)) == record)
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
        #expect(bytes[0] == 1)
        #expect(bytes[1] == 1)
        #expect(bytes[2..<6] == [0, 0, 1, 2])
        #expect(bytes[6..<22].allSatisfy { $0 == 0xAB })
        #expect(bytes[22..<26] == [0, 0, 0, 1])
        #expect(bytes[58..<66] == [0, 0, 0, 0, 0, 0, 0, 2])
        #expect(bytes[66..<74] == [0, 0, 0, 0, 0, 0, 0, 1])
        #expect(bytes[74..<82] == [0, 0, 0, 0, 0, 0, 0, 3])
        #expect(Array(bytes[82..<90]) == Self.headerChecksum(of: bytes))
        #expect(RecordCodec.encode(try Self.record(Self.response()))[1] == 2)
        #expect(RecordCodec.encode(try Self.record(Self.states[5]))[1] == 3)
        #expect(RecordCodec.expiry(of: bytes) == Timestamp(milliseconds: 3))
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
        case .claimed(let leaseEnd): #expect(header.phase == .claimed(leaseEnd: leaseEnd))
        case .completed(.response): #expect(header.phase == .response)
        case .completed(.tombstone): #expect(header.phase == .tombstone)
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

    @Test("An unknown version or state is an error", arguments: [0, 2, 255] as [UInt8])
    func unknown(value: UInt8) throws {
        var bytes = RecordCodec.encode(try Self.record(Self.states[3]))
        bytes[0] = value
        self.expectDamage(Self.resealed(bytes), "version \(value)")
        bytes[0] = 1
        bytes[1] = value == 2 ? 4 : value
        self.expectDamage(Self.resealed(bytes), "state \(value)")
    }

    @Test("Attempt 0 is an error")
    func attemptZero() throws {
        var bytes = RecordCodec.encode(try Self.record(Self.states[0]))
        bytes.replaceSubrange(2..<6, with: [0, 0, 0, 0])
        self.expectDamage(Self.resealed(bytes), "attempt 0")
    }

    @Test("Every damaged byte is an error", arguments: states.filter { RecordCodecTests.size(of: $0) < 1000 })
    func damaged(state: IdempotencyRecord.State) throws {
        let bytes = RecordCodec.encode(try Self.record(state))
        for position in bytes.indices {
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
                #expect(RecordCodec.encode(record) == bytes)
            } catch {
                #expect(error.code == .corruptRecord)
            }
        }
    }

    @Test(
        "An outcome whose checksums are right but whose content is not is an error",
        arguments: [
            (2, []), (2, [0]), (2, [3, 232]), (2, [0, 200]), (2, [0, 200, 2, 79]), (2, [0, 200, 0]),
            (2, [0, 200, 0, 1]), (2, [0, 200, 0, 1, 1, 120]), (2, [0, 200, 0, 1, 1, 32, 0]), (2, [0, 200, 1, 255, 0]),
            (2, [0, 200, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255]), (2, [0, 200, 0, 128]),
            (3, []), (3, [0]), (3, [3, 232]), (3, [0, 200, 5, 47]), (3, [0, 200, 1, 255]),
        ] as [(UInt8, [UInt8])])
    func forged(state: UInt8, payload: [UInt8]) throws {
        var bytes = RecordCodec.encode(try Self.record(Self.response()))
        bytes[1] = state
        bytes = Self.resealed(bytes).prefix(RecordCodec.headerSize) + Self.checksum(of: payload)
        self.expectDamage(bytes + payload, "\(payload)")
    }

    /// The record with the checksum of its header as it should be.
    private static func resealed(_ bytes: [UInt8]) -> [UInt8] {
        var sealed = bytes
        sealed.replaceSubrange(82..<90, with: Self.headerChecksum(of: bytes))
        return sealed
    }

    private static func headerChecksum(of bytes: [UInt8]) -> [UInt8] {
        Insecure.SHA1.hash(data: bytes.prefix(82)).prefix(4).flatMap { byte in
            let digits = String(byte, radix: 16)
            return Array((digits.count == 1 ? "0" + digits : digits).utf8)
        }
    }

    private static func checksum(of payload: [UInt8]) -> [UInt8] {
        Array(SHA256.hash(data: payload).prefix(8))
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

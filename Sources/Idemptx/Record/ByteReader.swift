/// Reads the fields of a binary record; whatever is missing or malformed is a thrown error.
struct ByteReader {
    /// The bytes end too early, or are not what they should be.
    struct Damage: Error {
        let reason: String
    }

    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) {
        self.rest = bytes
    }

    /// All bytes not read yet.
    var remainder: ArraySlice<UInt8> { self.rest }

    mutating func bytes(_ count: Int) throws(Damage) -> ArraySlice<UInt8> {
        guard count >= 0, count <= self.rest.count else { throw Damage(reason: "it ends too early") }
        defer { self.rest = self.rest.dropFirst(count) }
        return self.rest.prefix(count)
    }

    mutating func integer<Integer: FixedWidthInteger & UnsignedInteger>(
        _ type: Integer.Type = Integer.self
    ) throws(Damage) -> Integer {
        var value: Integer = 0
        for byte in try self.bytes(Integer.bitWidth / 8) { value = value << 8 | Integer(byte) }
        return value
    }

    mutating func timestamp() throws(Damage) -> Timestamp {
        Timestamp(milliseconds: Int64(bitPattern: try self.integer(UInt64.self)))
    }

    /// An integer in groups of seven bits, the least significant first.
    mutating func compactInteger() throws(Damage) -> Int {
        var value = 0
        for shift in stride(from: 0, to: Int.bitWidth - 1, by: 7) {
            let byte: UInt8 = try self.integer()
            value |= Int(byte & 0x7F) << shift
            if byte < 0x80, value >= 0 { return value }
        }
        throw Damage(reason: "a length is out of range")
    }

    /// Bytes that follow their own length.
    mutating func field() throws(Damage) -> ArraySlice<UInt8> {
        try self.bytes(try self.compactInteger())
    }

    mutating func text() throws(Damage) -> String {
        guard let text = String(validating: try self.field(), as: UTF8.self) else {
            throw Damage(reason: "a text is not UTF-8")
        }
        return text
    }
}

extension [UInt8] {
    /// Appends an integer in groups of seven bits, the least significant first.
    mutating func append(compact integer: Int) {
        var rest = UInt(bitPattern: integer)
        while rest >= 0x80 {
            self.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        self.append(UInt8(rest))
    }

    /// Appends the length of `field`, then its bytes, as ``ByteReader/field()`` reads them.
    mutating func append(field: some Collection<UInt8>) {
        self.append(compact: field.count)
        self.append(contentsOf: field)
    }
}

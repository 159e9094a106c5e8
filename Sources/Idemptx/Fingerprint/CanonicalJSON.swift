/// Rewrites JSON texts (RFC 8259) so that two texts of the same structure become the same bytes.
///
/// Members are sorted by name, white space is dropped, and strings are written with the fewest escapes. Number literals
/// stay as they are, since rounding one would make two amounts equal.
package enum CanonicalJSON {
    static let maximumDepth = 128

    /// The canonical form of `text`.
    ///
    /// - Returns: `nil` if `text` is not JSON in UTF-8, has a duplicate name, or nests deeper than ``maximumDepth``.
    package static func canonicalize(_ text: [UInt8]) -> [UInt8]? {
        guard String(validating: text, as: UTF8.self) != nil else { return nil }
        var writer = CanonicalJSONWriter(input: text)
        return try? writer.canonicalText()
    }
}

private struct NotCanonicalizable: Error {}

private struct CanonicalJSONWriter {
    /// Where a member of an object stands in the output.
    private struct Member {
        let name: Range<Int>
        let end: Int
    }

    private let input: [UInt8]
    private var position = 0
    private var output: [UInt8] = []
    /// The members of all objects that are open, the innermost object's last.
    private var members: [Member] = []

    init(input: [UInt8]) {
        self.input = input
        self.output.reserveCapacity(input.count)
    }

    mutating func canonicalText() throws(NotCanonicalizable) -> [UInt8] {
        try self.value(depth: 0)
        self.skipWhitespace()
        guard self.position == self.input.count else { throw NotCanonicalizable() }
        return self.output
    }

    private mutating func value(depth: Int) throws(NotCanonicalizable) {
        guard depth <= CanonicalJSON.maximumDepth else { throw NotCanonicalizable() }
        self.skipWhitespace()
        switch self.peek {
        case UInt8(ascii: "{"): try self.object(depth: depth)
        case UInt8(ascii: "["): try self.array(depth: depth)
        case UInt8(ascii: "\""): try self.string()
        case UInt8(ascii: "t"): try self.literal("true")
        case UInt8(ascii: "f"): try self.literal("false")
        case UInt8(ascii: "n"): try self.literal("null")
        default: try self.number()
        }
    }

    // MARK: Input

    private var peek: UInt8? { self.position < self.input.count ? self.input[self.position] : nil }

    private mutating func skipWhitespace() {
        while self.position < self.input.count {
            switch self.input[self.position] {
            case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t"): self.position += 1
            default: return
            }
        }
    }

    /// Moves past `byte` if it comes next.
    private mutating func skip(_ byte: UInt8) -> Bool {
        guard self.peek == byte else { return false }
        self.position += 1
        return true
    }

    private mutating func expect(_ byte: UInt8) throws(NotCanonicalizable) {
        guard self.skip(byte) else { throw NotCanonicalizable() }
    }

    private mutating func copy(upTo end: Int) {
        self.output.append(contentsOf: self.input[self.position..<end])
        self.position = end
    }

    // MARK: Containers

    private mutating func array(depth: Int) throws(NotCanonicalizable) {
        try self.expect(UInt8(ascii: "["))
        self.output.append(UInt8(ascii: "["))
        self.skipWhitespace()
        if !self.skip(UInt8(ascii: "]")) {
            try self.value(depth: depth + 1)
            while try self.continues(until: UInt8(ascii: "]")) {
                self.output.append(UInt8(ascii: ","))
                try self.value(depth: depth + 1)
            }
        }
        self.output.append(UInt8(ascii: "]"))
    }

    private mutating func object(depth: Int) throws(NotCanonicalizable) {
        try self.expect(UInt8(ascii: "{"))
        self.output.append(UInt8(ascii: "{"))
        self.skipWhitespace()
        if !self.skip(UInt8(ascii: "}")) {
            let start = self.output.count
            let firstMember = self.members.count
            var isSorted = try self.member(depth: depth, of: firstMember)
            while try self.continues(until: UInt8(ascii: "}")) {
                self.output.append(UInt8(ascii: ","))
                isSorted = try self.member(depth: depth, of: firstMember) && isSorted
            }
            if !isSorted { try self.sortMembers(from: firstMember, start: start) }
            self.members.removeSubrange(firstMember...)
        }
        self.output.append(UInt8(ascii: "}"))
    }

    /// Whether a comma follows; a closing bracket ends the container.
    private mutating func continues(until closing: UInt8) throws(NotCanonicalizable) -> Bool {
        self.skipWhitespace()
        if self.skip(closing) { return false }
        try self.expect(UInt8(ascii: ","))
        return true
    }

    /// Reads one member.
    ///
    /// - Returns: Whether its name comes after that of the member before it.
    private mutating func member(depth: Int, of firstMember: Int) throws(NotCanonicalizable) -> Bool {
        self.skipWhitespace()
        let start = self.output.count
        try self.string()
        let name = start..<self.output.count
        self.skipWhitespace()
        try self.expect(UInt8(ascii: ":"))
        self.output.append(UInt8(ascii: ":"))
        let previous = self.members.count > firstMember ? self.members.last : nil
        try self.value(depth: depth + 1)
        self.members.append(Member(name: name, end: self.output.count))
        guard let previous else { return true }
        return try self.precedes(previous, name)
    }

    private func precedes(_ member: Member, _ name: Range<Int>) throws(NotCanonicalizable) -> Bool {
        let (lhs, rhs) = (self.output[member.name], self.output[name])
        if lhs.elementsEqual(rhs) { throw NotCanonicalizable() }
        return lhs.lexicographicallyPrecedes(rhs)
    }

    private mutating func sortMembers(from firstMember: Int, start: Int) throws(NotCanonicalizable) {
        let sorted = self.members[firstMember...].sorted {
            self.output[$0.name].lexicographicallyPrecedes(self.output[$1.name])
        }
        for (member, next) in zip(sorted, sorted.dropFirst()) {
            guard try self.precedes(member, next.name) else { throw NotCanonicalizable() }
        }
        var body: [UInt8] = []
        body.reserveCapacity(self.output.count - start)
        for member in sorted {
            if !body.isEmpty { body.append(UInt8(ascii: ",")) }
            body.append(contentsOf: self.output[member.name.lowerBound..<member.end])
        }
        self.output.replaceSubrange(start..., with: body)
    }

    // MARK: Scalars

    private mutating func literal(_ word: StaticString) throws(NotCanonicalizable) {
        let bytes = Array(word.description.utf8)
        guard self.input[self.position...].starts(with: bytes) else { throw NotCanonicalizable() }
        self.copy(upTo: self.position + bytes.count)
    }

    private mutating func number() throws(NotCanonicalizable) {
        var end = self.position
        func isDigit(_ index: Int) -> Bool {
            index < self.input.count && (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self.input[index])
        }
        func skipDigits() throws(NotCanonicalizable) {
            guard isDigit(end) else { throw NotCanonicalizable() }
            while isDigit(end) { end += 1 }
        }
        func skip(_ bytes: UInt8...) -> Bool {
            guard end < self.input.count, bytes.contains(self.input[end]) else { return false }
            end += 1
            return true
        }
        _ = skip(UInt8(ascii: "-"))
        if !skip(UInt8(ascii: "0")) { try skipDigits() }
        if skip(UInt8(ascii: ".")) { try skipDigits() }
        if skip(UInt8(ascii: "e"), UInt8(ascii: "E")) {
            _ = skip(UInt8(ascii: "+"), UInt8(ascii: "-"))
            try skipDigits()
        }
        self.copy(upTo: end)
    }

    private mutating func string() throws(NotCanonicalizable) {
        try self.expect(UInt8(ascii: "\""))
        self.output.append(UInt8(ascii: "\""))
        var end = self.position
        while end < self.input.count {
            switch self.input[end] {
            case UInt8(ascii: "\""):
                self.copy(upTo: end)
                self.position += 1
                self.output.append(UInt8(ascii: "\""))
                return
            case UInt8(ascii: "\\"):
                self.copy(upTo: end)
                self.append(try self.escapedScalar())
                end = self.position
            case 0..<0x20:
                throw NotCanonicalizable()
            default:
                end += 1
            }
        }
        throw NotCanonicalizable()
    }

    private mutating func escapedScalar() throws(NotCanonicalizable) -> Unicode.Scalar {
        self.position += 1
        guard let escape = self.peek else { throw NotCanonicalizable() }
        self.position += 1
        switch escape {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(escape)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return try self.unicodeScalar()
        default: throw NotCanonicalizable()
        }
    }

    /// Reads the four digits after `\u`, and those of a second escape where the two are a surrogate pair.
    ///
    /// A lone surrogate has no UTF-8 form.
    private mutating func unicodeScalar() throws(NotCanonicalizable) -> Unicode.Scalar {
        let unit = try self.codeUnit()
        guard (0xD800..<0xE000).contains(unit) else { return try self.scalar(unit) }
        try self.expect(UInt8(ascii: "\\"))
        try self.expect(UInt8(ascii: "u"))
        let low = try self.codeUnit()
        guard unit < 0xDC00, (0xDC00..<0xE000).contains(low) else { throw NotCanonicalizable() }
        return try self.scalar(0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00))
    }

    private func scalar(_ value: UInt32) throws(NotCanonicalizable) -> Unicode.Scalar {
        guard let scalar = Unicode.Scalar(value) else { throw NotCanonicalizable() }
        return scalar
    }

    private mutating func codeUnit() throws(NotCanonicalizable) -> UInt32 {
        var unit: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = self.peek, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw NotCanonicalizable()
            }
            unit = unit << 4 | UInt32(digit)
            self.position += 1
        }
        return unit
    }

    private mutating func append(_ scalar: Unicode.Scalar) {
        switch scalar {
        case "\"", "\\":
            self.output.append(UInt8(ascii: "\\"))
            self.output.append(UInt8(ascii: scalar))
        case "\u{0}"..<" ":
            self.output.append(contentsOf: "\\u00".utf8)
            self.output.append(contentsOf: [UInt8(ascii: scalar)].hexadecimal.utf8)
        default:
            self.output.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
        }
    }
}

/// How the input differs from its canonical form.
struct CanonicalJSONChanges {
    /// Input that is dropped, or replaced by a character of a string.
    struct Edit {
        let range: Range<Int32>
        let replacement: Unicode.Scalar?
    }

    /// From the quote before its name to the end of its value.
    struct Member {
        let range: Range<Int32>
        /// Its name, with its quotes, in the input, or in the names that had to be rewritten.
        let name: Range<Int32>
        /// What follows the first quote of the name, as a number: most names differ there.
        ///
        /// A shorter name ends with its second quote, and then zeros, which occur in no name.
        let firstBytes: UInt64
        let isNameRewritten: Bool
        let isIgnored: Bool
        /// Whether it is written as it stands.
        let isCanonical: Bool
    }

    /// An object whose members are not written as they stand.
    struct Object {
        /// With its braces.
        let range: Range<Int32>
        /// Where its members are in ``members``, sorted by name.
        let members: Range<Int>
    }

    /// In the order of the input; none lies in another.
    var edits: [Edit] = []
    /// In the order of their ends while the text is read.
    var objects: [Object] = []
    var members: [Member] = []

    var isEmpty: Bool { self.edits.isEmpty && self.objects.isEmpty }
}

/// Reads a text once, and notes how it differs from its canonical form.
///
/// Most texts are compact, and many are sorted: what is canonical already is hashed as it came, without a copy.
struct CanonicalJSONScanner {
    struct NotCanonicalizable: Error {}

    typealias Member = CanonicalJSONChanges.Member

    let input: [UInt8]
    private let places: JSONPointerTree
    private(set) var changes = CanonicalJSONChanges()
    private(set) var keyRange: Range<Int>?

    /// The members of all objects that are open, the innermost object's last.
    private var openMembers: [Member] = []
    /// Their names that have escapes which their canonical form has not.
    private var rewrittenNames: [UInt8] = []

    init(input: [UInt8], places: JSONPointerTree) {
        self.input = input
        self.places = places
    }

    /// Reads all of the text.
    ///
    /// - Returns: Where its value is.
    mutating func scan() throws(NotCanonicalizable) -> Range<Int> {
        // The input is passed on as a span, so that no access to it has to look at the scanner.
        let input = self.input
        let span = input.span
        self.openMembers.reserveCapacity(32)
        let start = Self.endOfWhitespace(span, from: 0)
        let end = try self.value(span, at: start, depth: 0, place: self.places.root)
        guard Self.endOfWhitespace(span, from: end) == span.count else { throw NotCanonicalizable() }
        return start..<end
    }

    /// - Returns: Where the value that starts at `start` ends.
    private mutating func value(
        _ input: Span<UInt8>,
        at start: Int,
        depth: Int,
        place: JSONPointerTree.Place?
    ) throws(NotCanonicalizable) -> Int {
        guard depth <= CanonicalJSON.maximumDepth, start < input.count else { throw NotCanonicalizable() }
        let end =
            switch input[start] {
            case UInt8(ascii: "\""): try self.string(input, at: start)
            case UInt8(ascii: "{"): try self.object(input, at: start, depth: depth, place: place)
            case UInt8(ascii: "["): try self.array(input, at: start, depth: depth, place: place)
            case UInt8(ascii: "t"): try Self.literal(0x7472_7565, input, at: start)
            // After its first letter.
            case UInt8(ascii: "f"): try Self.literal(0x616C_7365, input, at: start + 1)
            case UInt8(ascii: "n"): try Self.literal(0x6E75_6C6C, input, at: start)
            default: try Self.number(input, at: start)
            }
        if let place, self.places.isKey(place) { self.keyRange = start..<end }
        return end
    }

    // MARK: White space

    @inline(__always)
    private static func endOfWhitespace(_ input: Span<UInt8>, from start: Int) -> Int {
        var end = start
        while end < input.count {
            switch input[end] {
            case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t"): end += 1
            default: return end
            }
        }
        return end
    }

    @inline(__always)
    private mutating func skipWhitespace(_ input: Span<UInt8>, from start: Int) -> Int {
        guard start < input.count, input[start] <= UInt8(ascii: " ") else { return start }
        return self.dropWhitespace(input, from: start)
    }

    private mutating func dropWhitespace(_ input: Span<UInt8>, from start: Int) -> Int {
        let end = Self.endOfWhitespace(input, from: start)
        if end > start { self.note(.init(range: Int32(start)..<Int32(end), replacement: nil)) }
        return end
    }

    private mutating func note(_ edit: CanonicalJSONChanges.Edit) {
        if self.changes.edits.isEmpty { self.changes.edits.reserveCapacity(self.input.count / 16) }
        self.changes.edits.append(edit)
    }

    // MARK: Containers

    private mutating func array(
        _ input: Span<UInt8>,
        at start: Int,
        depth: Int,
        place: JSONPointerTree.Place?
    ) throws(NotCanonicalizable) -> Int {
        var position = self.skipWhitespace(input, from: start + 1)
        if position < input.count, input[position] == UInt8(ascii: "]") { return position + 1 }
        var index = 0
        while true {
            var elementPlace: JSONPointerTree.Place?
            if let place { elementPlace = self.places.child(of: place, at: index) }
            position = try self.value(input, at: position, depth: depth + 1, place: elementPlace)
            position = self.skipWhitespace(input, from: position)
            guard position < input.count else { throw NotCanonicalizable() }
            switch input[position] {
            case UInt8(ascii: ","): position = self.skipWhitespace(input, from: position + 1)
            case UInt8(ascii: "]"): return position + 1
            default: throw NotCanonicalizable()
            }
            index += 1
        }
    }

    private mutating func object(
        _ input: Span<UInt8>,
        at start: Int,
        depth: Int,
        place: JSONPointerTree.Place?
    ) throws(NotCanonicalizable) -> Int {
        var position = self.skipWhitespace(input, from: start + 1)
        if position < input.count, input[position] == UInt8(ascii: "}") { return position + 1 }
        let (firstMember, firstName) = (self.openMembers.count, self.rewrittenNames.count)
        var isWrittenAsItStands = true
        while true {
            let member = try self.member(input, at: position, depth: depth, place: place)
            if self.openMembers.count > firstMember, let previous = self.openMembers.last {
                guard let precedes = self.precedes(input, previous, member) else { throw NotCanonicalizable() }
                isWrittenAsItStands = isWrittenAsItStands && precedes
            }
            isWrittenAsItStands = isWrittenAsItStands && !member.isIgnored
            self.openMembers.append(member)
            position = self.skipWhitespace(input, from: Int(member.range.upperBound))
            guard position < input.count else { throw NotCanonicalizable() }
            if input[position] == UInt8(ascii: "}") { break }
            guard input[position] == UInt8(ascii: ",") else { throw NotCanonicalizable() }
            position = self.skipWhitespace(input, from: position + 1)
        }
        if !isWrittenAsItStands {
            try self.keepMembers(from: firstMember, of: Int32(start)..<Int32(position + 1))
        }
        self.openMembers.removeLast(self.openMembers.count - firstMember)
        self.rewrittenNames.removeLast(self.rewrittenNames.count - firstName)
        return position + 1
    }

    private mutating func member(
        _ input: Span<UInt8>,
        at start: Int,
        depth: Int,
        place: JSONPointerTree.Place?
    ) throws(NotCanonicalizable) -> Member {
        guard start < input.count, input[start] == UInt8(ascii: "\"") else { throw NotCanonicalizable() }
        let (editCount, objectCount) = (self.changes.edits.count, self.changes.objects.count)
        let endOfName = try self.string(input, at: start)
        var name = Int32(start)..<Int32(endOfName)
        let isNameRewritten = self.changes.edits.count > editCount
        if isNameRewritten { name = self.rewriteName(name, firstEdit: editCount) }
        var valuePlace: JSONPointerTree.Place?
        if let place {
            let names = isNameRewritten ? self.rewrittenNames : self.input
            valuePlace = self.places.child(of: place, named: names[name.indices])
        }
        let firstBytes =
            isNameRewritten
            ? self.rewrittenNames.span.firstBytes(of: name.indices) : input.firstBytes(of: name.indices)
        let colon = self.skipWhitespace(input, from: endOfName)
        guard colon < input.count, input[colon] == UInt8(ascii: ":") else { throw NotCanonicalizable() }
        let value = self.skipWhitespace(input, from: colon + 1)
        let end = try self.value(input, at: value, depth: depth + 1, place: valuePlace)
        return Member(
            range: Int32(start)..<Int32(end), name: name, firstBytes: firstBytes, isNameRewritten: isNameRewritten,
            isIgnored: valuePlace.map(self.places.isIgnored) ?? false,
            isCanonical: self.changes.edits.count == editCount && self.changes.objects.count == objectCount)
    }

    private mutating func rewriteName(_ name: Range<Int32>, firstEdit: Int) -> Range<Int32> {
        let start = self.rewrittenNames.count
        var position = Int(name.lowerBound)
        for edit in self.changes.edits[firstEdit...] {
            self.rewrittenNames.append(contentsOf: self.input[position..<Int(edit.range.lowerBound)])
            if let scalar = edit.replacement { self.rewrittenNames.append(canonical: scalar) }
            position = Int(edit.range.upperBound)
        }
        self.rewrittenNames.append(contentsOf: self.input[position..<Int(name.upperBound)])
        return Int32(start)..<Int32(self.rewrittenNames.count)
    }

    /// Whether the name of `lhs` comes first; `nil` if the names are equal.
    @inline(__always)
    private func precedes(_ input: Span<UInt8>, _ lhs: Member, _ rhs: Member) -> Bool? {
        if lhs.firstBytes != rhs.firstBytes { return lhs.firstBytes < rhs.firstBytes }
        return self.longNamePrecedes(input, lhs, rhs)
    }

    private func longNamePrecedes(_ input: Span<UInt8>, _ lhs: Member, _ rhs: Member) -> Bool? {
        let common = min(lhs.name.count, rhs.name.count)
        var offset = 1 + UInt64.bitWidth / 8
        while offset < common {
            let left = self.byte(input, at: offset, of: lhs)
            let right = self.byte(input, at: offset, of: rhs)
            if left != right { return left < right }
            offset += 1
        }
        return lhs.name.count == rhs.name.count ? nil : lhs.name.count < rhs.name.count
    }

    @inline(__always)
    private func byte(_ input: Span<UInt8>, at offset: Int, of member: Member) -> UInt8 {
        let index = Int(member.name.lowerBound) + offset
        return member.isNameRewritten ? self.rewrittenNames[index] : input[index]
    }

    private mutating func keepMembers(from first: Int, of range: Range<Int32>) throws(NotCanonicalizable) {
        let input = self.input
        self.sortOpenMembers(from: first, input.span)
        for index in first + 1..<max(first + 1, self.openMembers.count)
        where self.precedes(input.span, self.openMembers[index - 1], self.openMembers[index]) == nil {
            throw NotCanonicalizable()
        }
        let start = self.changes.members.count
        self.changes.members.append(contentsOf: self.openMembers[first...])
        self.changes.objects.append(.init(range: range, members: start..<self.changes.members.count))
    }

    private mutating func sortOpenMembers(from first: Int, _ input: Span<UInt8>) {
        guard self.openMembers.count - first <= 32 else {
            let sorted = self.openMembers[first...].sorted { self.precedes(input, $0, $1) ?? false }
            return self.openMembers.replaceSubrange(first..., with: sorted)
        }
        // Few members are sorted where they are: sorting a slice takes a copy.
        for end in first + 1..<max(first + 1, self.openMembers.count) {
            let member = self.openMembers[end]
            var index = end
            while index > first, self.precedes(input, member, self.openMembers[index - 1]) == true {
                self.openMembers[index] = self.openMembers[index - 1]
                index -= 1
            }
            self.openMembers[index] = member
        }
    }

    // MARK: Scalars

    @inline(__always)
    private static func literal(
        _ word: UInt32,
        _ input: Span<UInt8>,
        at start: Int
    ) throws(NotCanonicalizable) -> Int {
        guard start + 4 <= input.count else { throw NotCanonicalizable() }
        var found: UInt32 = 0
        for index in start..<start + 4 { found = found << 8 | UInt32(input[index]) }
        guard found == word else { throw NotCanonicalizable() }
        return start + 4
    }

    private static func number(_ input: Span<UInt8>, at start: Int) throws(NotCanonicalizable) -> Int {
        var end = start
        if Self.isByte(UInt8(ascii: "-"), input, at: end) { end += 1 }
        if Self.isByte(UInt8(ascii: "0"), input, at: end) { end += 1 } else { end = try Self.digits(input, at: end) }
        if Self.isByte(UInt8(ascii: "."), input, at: end) { end = try Self.digits(input, at: end + 1) }
        if Self.isByte(UInt8(ascii: "e"), input, at: end) || Self.isByte(UInt8(ascii: "E"), input, at: end) {
            end += 1
            if Self.isByte(UInt8(ascii: "+"), input, at: end) || Self.isByte(UInt8(ascii: "-"), input, at: end) {
                end += 1
            }
            end = try Self.digits(input, at: end)
        }
        return end
    }

    @inline(__always)
    private static func isByte(_ byte: UInt8, _ input: Span<UInt8>, at index: Int) -> Bool {
        index < input.count && input[index] == byte
    }

    private static func digits(_ input: Span<UInt8>, at start: Int) throws(NotCanonicalizable) -> Int {
        var end = start
        while end < input.count, input[end] &- UInt8(ascii: "0") < 10 { end += 1 }
        guard end > start else { throw NotCanonicalizable() }
        return end
    }

    private mutating func string(_ input: Span<UInt8>, at start: Int) throws(NotCanonicalizable) -> Int {
        var end = start + 1
        while true {
            end = input.endOfPlainText(from: end)
            guard end < input.count else { throw NotCanonicalizable() }
            switch input[end] {
            case UInt8(ascii: "\""): return end + 1
            case UInt8(ascii: "\\"): end = try self.escape(input, at: end)
            case 0x80...: end = try Self.multibyteScalar(input, at: end)
            default: throw NotCanonicalizable()
            }
        }
    }

    /// The well-formed sequences of UTF-8 (Unicode, table 3-7).
    private static func multibyteScalar(_ input: Span<UInt8>, at start: Int) throws(NotCanonicalizable) -> Int {
        let (length, second): (Int, ClosedRange<UInt8>) =
            switch input[start] {
            case 0xC2...0xDF: (2, 0x80...0xBF)
            case 0xE0: (3, 0xA0...0xBF)
            case 0xED: (3, 0x80...0x9F)
            case 0xE1...0xEF: (3, 0x80...0xBF)
            case 0xF0: (4, 0x90...0xBF)
            case 0xF1...0xF3: (4, 0x80...0xBF)
            case 0xF4: (4, 0x80...0x8F)
            default: throw NotCanonicalizable()
            }
        guard start + length <= input.count, second.contains(input[start + 1]) else { throw NotCanonicalizable() }
        for index in start + 2..<start + length where input[index] & 0xC0 != 0x80 { throw NotCanonicalizable() }
        return start + length
    }

    private mutating func escape(_ input: Span<UInt8>, at start: Int) throws(NotCanonicalizable) -> Int {
        guard start + 1 < input.count else { throw NotCanonicalizable() }
        var end = start + 2
        let scalar: Unicode.Scalar
        switch input[start + 1] {
        // Their fewest escapes.
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): return end
        case UInt8(ascii: "/"): scalar = "/"
        case UInt8(ascii: "b"): scalar = "\u{8}"
        case UInt8(ascii: "f"): scalar = "\u{C}"
        case UInt8(ascii: "n"): scalar = "\n"
        case UInt8(ascii: "r"): scalar = "\r"
        case UInt8(ascii: "t"): scalar = "\t"
        case UInt8(ascii: "u"):
            (scalar, end) = try Self.hexadecimalScalar(input, at: start)
            if scalar < " ", !Self.hasUpperCase(input, start + 2..<end) { return end }
        default: throw NotCanonicalizable()
        }
        self.note(.init(range: Int32(start)..<Int32(end), replacement: scalar))
        return end
    }

    private static func hasUpperCase(_ input: Span<UInt8>, _ range: Range<Int>) -> Bool {
        for index in range where input[index] & 0xE0 == 0x40 { return true }
        return false
    }

    /// Reads `\u` and four digits, and a second escape where the two are a surrogate pair.
    ///
    /// A lone surrogate has no UTF-8 form.
    private static func hexadecimalScalar(
        _ input: Span<UInt8>,
        at start: Int
    ) throws(NotCanonicalizable) -> (Unicode.Scalar, end: Int) {
        let unit = try self.codeUnit(input, at: start + 2)
        guard (0xD800..<0xE000).contains(unit) else { return (try self.scalar(unit), start + 6) }
        guard self.isByte(UInt8(ascii: "\\"), input, at: start + 6),
            self.isByte(UInt8(ascii: "u"), input, at: start + 7)
        else { throw NotCanonicalizable() }
        let low = try self.codeUnit(input, at: start + 8)
        guard unit < 0xDC00, (0xDC00..<0xE000).contains(low) else { throw NotCanonicalizable() }
        return (try self.scalar(0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00)), start + 12)
    }

    private static func scalar(_ value: UInt32) throws(NotCanonicalizable) -> Unicode.Scalar {
        guard let scalar = Unicode.Scalar(value) else { throw NotCanonicalizable() }
        return scalar
    }

    private static func codeUnit(_ input: Span<UInt8>, at start: Int) throws(NotCanonicalizable) -> UInt32 {
        guard start + 4 <= input.count else { throw NotCanonicalizable() }
        var unit: UInt32 = 0
        for index in start..<start + 4 {
            guard let digit = input[index].hexDigitValue else { throw NotCanonicalizable() }
            unit = unit << 4 | UInt32(digit)
        }
        return unit
    }
}

extension Span<UInt8> {
    /// Eight bytes as a number, the first one the least significant.
    @inline(__always)
    private func word(at offset: Int) -> UInt64 {
        // The offset is checked, and any eight bytes are a number: unsafe is what other types would do with them.
        unsafe UInt64(littleEndian: self.bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    /// Where ASCII ends that stands in a string as it is: the next control, quote, backslash, or byte beyond ASCII.
    @inline(__always)
    fileprivate func endOfPlainText(from start: Int) -> Int {
        var end = start
        let ones: UInt64 = 0x0101_0101_0101_0101
        while end + 8 <= self.count {
            let word = self.word(at: end)
            let quotes = (word ^ (ones &* 0x22)) &- ones
            let backslashes = (word ^ (ones &* 0x5C)) &- ones
            let controls = word &- (ones &* 0x20)
            // The highest bit of a byte is set if it is what is looked for, or follows such a byte.
            let found = (quotes | backslashes | controls | word) & (ones &* 0x80)
            if found != 0 { return end + found.trailingZeroBitCount / 8 }
            end += 8
        }
        while end < self.count, self[end] &- 0x20 < 0x60, self[end] != 0x22, self[end] != 0x5C { end += 1 }
        return end
    }

    /// The bytes after the first one of a name, as a number that is as great as they are late in the order of names.
    @inline(__always)
    fileprivate func firstBytes(of name: Range<Int>) -> UInt64 {
        let (start, count) = (name.lowerBound + 1, name.count - 1)
        if start + 8 <= self.count {
            let word = self.word(at: start).byteSwapped
            return count < 8 ? word & ~(.max >> UInt64(8 * count)) : word
        }
        var word: UInt64 = 0
        for offset in 0..<8 { word = word << 8 | (offset < count ? UInt64(self[start + offset]) : 0) }
        return word
    }
}

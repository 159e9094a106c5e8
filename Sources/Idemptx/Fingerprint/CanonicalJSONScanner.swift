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
        let start = span.endOfWhitespace(from: 0)
        let end = try self.value(span, at: start, depth: 0, place: self.places.root)
        guard span.endOfWhitespace(from: end) == span.count else { throw NotCanonicalizable() }
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
            case UInt8(ascii: "{"), UInt8(ascii: "["): try self.container(input, at: start, depth: depth, place: place)
            case UInt8(ascii: "t"): try input.endOfLiteral("true", from: start)
            case UInt8(ascii: "f"): try input.endOfLiteral("false", from: start)
            case UInt8(ascii: "n"): try input.endOfLiteral("null", from: start)
            default: try input.endOfNumber(from: start)
            }
        if let place, self.places.isKey(place) { self.keyRange = start..<end }
        return end
    }

    // MARK: White space

    @inline(__always)
    private mutating func skipWhitespace(_ input: Span<UInt8>, from start: Int) -> Int {
        guard start < input.count, input[start] <= UInt8(ascii: " ") else { return start }
        return self.dropWhitespace(input, from: start)
    }

    private mutating func dropWhitespace(_ input: Span<UInt8>, from start: Int) -> Int {
        let end = input.endOfWhitespace(from: start)
        if end > start { self.note(.init(range: Int32(start)..<Int32(end), replacement: nil)) }
        return end
    }

    private mutating func note(_ edit: CanonicalJSONChanges.Edit) {
        if self.changes.edits.isEmpty { self.changes.edits.reserveCapacity(self.input.count / 16) }
        self.changes.edits.append(edit)
    }

    // MARK: Containers

    private mutating func container(
        _ input: Span<UInt8>,
        at start: Int,
        depth: Int,
        place: JSONPointerTree.Place?
    ) throws(NotCanonicalizable) -> Int {
        let isObject = input[start] == UInt8(ascii: "{")
        let close = isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")
        var position = self.skipWhitespace(input, from: start + 1)
        if input.has(close, at: position) { return position + 1 }
        let (firstMember, firstName) = (self.openMembers.count, self.rewrittenNames.count)
        var isWrittenAsItStands = true
        var index = 0
        while true {
            if isObject {
                let member = try self.member(input, at: position, depth: depth, place: place)
                if self.openMembers.count > firstMember, let previous = self.openMembers.last {
                    guard let precedes = self.precedes(previous, member) else { throw NotCanonicalizable() }
                    isWrittenAsItStands = isWrittenAsItStands && precedes
                }
                isWrittenAsItStands = isWrittenAsItStands && !member.isIgnored
                self.openMembers.append(member)
                position = Int(member.range.upperBound)
            } else {
                let element = place.flatMap { self.places.child(of: $0, at: index) }
                position = try self.value(input, at: position, depth: depth + 1, place: element)
                index += 1
            }
            position = self.skipWhitespace(input, from: position)
            if input.has(close, at: position) { break }
            guard input.has(UInt8(ascii: ","), at: position) else { throw NotCanonicalizable() }
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
        guard input.has(UInt8(ascii: "\""), at: start) else { throw NotCanonicalizable() }
        let (editCount, objectCount) = (self.changes.edits.count, self.changes.objects.count)
        let endOfName = try self.string(input, at: start)
        var name = Int32(start)..<Int32(endOfName)
        let isNameRewritten = self.changes.edits.count > editCount
        if isNameRewritten { name = self.rewriteName(name, firstEdit: editCount) }
        let valuePlace = place.flatMap {
            self.places.child(of: $0, named: (isNameRewritten ? self.rewrittenNames : self.input)[name.indices])
        }
        let firstBytes =
            isNameRewritten
            ? self.rewrittenNames.span.firstBytes(of: name.indices) : input.firstBytes(of: name.indices)
        let colon = self.skipWhitespace(input, from: endOfName)
        guard input.has(UInt8(ascii: ":"), at: colon) else { throw NotCanonicalizable() }
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
    private func precedes(_ lhs: Member, _ rhs: Member) -> Bool? {
        lhs.firstBytes != rhs.firstBytes ? lhs.firstBytes < rhs.firstBytes : self.longNamePrecedes(lhs, rhs)
    }

    private func longNamePrecedes(_ lhs: Member, _ rhs: Member) -> Bool? {
        let (left, right) = (self.name(of: lhs), self.name(of: rhs))
        return left.elementsEqual(right) ? nil : left.lexicographicallyPrecedes(right)
    }

    private func name(of member: Member) -> ArraySlice<UInt8> {
        (member.isNameRewritten ? self.rewrittenNames : self.input)[member.name.indices]
    }

    private mutating func keepMembers(from first: Int, of range: Range<Int32>) throws(NotCanonicalizable) {
        self.sortOpenMembers(from: first)
        for index in first + 1..<max(first + 1, self.openMembers.count)
        where self.precedes(self.openMembers[index - 1], self.openMembers[index]) == nil {
            throw NotCanonicalizable()
        }
        let start = self.changes.members.count
        self.changes.members.append(contentsOf: self.openMembers[first...])
        self.changes.objects.append(.init(range: range, members: start..<self.changes.members.count))
    }

    private mutating func sortOpenMembers(from first: Int) {
        guard self.openMembers.count - first <= 32 else {
            let sorted = self.openMembers[first...].sorted { self.precedes($0, $1) ?? false }
            return self.openMembers.replaceSubrange(first..., with: sorted)
        }
        // Few members are sorted where they are: sorting a slice takes a copy.
        for end in first + 1..<max(first + 1, self.openMembers.count) {
            let member = self.openMembers[end]
            var index = end
            while index > first, self.precedes(member, self.openMembers[index - 1]) == true {
                self.openMembers[index] = self.openMembers[index - 1]
                index -= 1
            }
            self.openMembers[index] = member
        }
    }

    // MARK: Strings

    private mutating func string(_ input: Span<UInt8>, at start: Int) throws(NotCanonicalizable) -> Int {
        var end = start + 1
        while true {
            end = input.endOfPlainText(from: end)
            guard end < input.count else { throw NotCanonicalizable() }
            switch input[end] {
            case UInt8(ascii: "\""): return end + 1
            case UInt8(ascii: "\\"): end = try self.escape(input, at: end)
            default: end = try input.endOfMultibyteScalar(from: end)
            }
        }
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
            (scalar, end) = try input.hexadecimalScalar(at: start)
            if scalar < " ", !input.hasUpperCase(in: start + 2..<end) { return end }
        default: throw NotCanonicalizable()
        }
        self.note(.init(range: Int32(start)..<Int32(end), replacement: scalar))
        return end
    }
}

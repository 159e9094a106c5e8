import Foundation

/// A JSON text as Foundation's parser understands it, but with its literals as they stand there.
indirect enum JSONTree: Equatable {
    struct Member: Equatable {
        let name: [UInt8]
        let value: JSONTree
    }

    case literal([UInt8])
    case string([UInt8])
    case array([JSONTree])
    /// Sorted by name.
    case object([Member])

    /// How deep it is nested.
    var depth: Int {
        switch self {
        case .literal, .string: 0
        case .array(let elements): 1 + (elements.map(\.depth).max() ?? 0)
        case .object(let members): 1 + (members.map(\.value.depth).max() ?? 0)
        }
    }

    var names: [[UInt8]] {
        switch self {
        case .literal, .string: []
        case .array(let elements): elements.flatMap(\.names)
        case .object(let members): members.flatMap { [$0.name] + $0.value.names }
        }
    }
}

extension JSONTree {
    /// What kept a text from being read.
    enum Flaw: Error {
        case malformed
        /// There are fewer names than colons. Swift also takes names for equal that differ in their code points.
        case repeatedName(JSONTree)
    }

    /// Reads a text.
    init(_ text: [UInt8]) throws(Flaw) {
        let literals = try JSONLiterals(text)
        let tree: JSONTree?
        do {
            tree = Self(try JSONSerialization.jsonObject(with: Data(literals.quoted), options: .fragmentsAllowed))
        } catch {
            throw .malformed
        }
        guard let tree else { throw .malformed }
        guard tree.names.count == literals.colonCount else { throw .repeatedName(tree) }
        self = tree
    }

    private init?(_ value: Any) {
        switch value {
        case let text as String:
            switch text.utf8.first {
            case UInt8(ascii: "#"): self = .literal(Array(text.utf8.dropFirst()))
            case UInt8(ascii: "$"): self = .string(Array(text.utf8.dropFirst()))
            default: return nil
            }
        case let flag as Bool: self = .literal(Array("\(flag)".utf8))
        case is NSNull: self = .literal(Array("null".utf8))
        case let elements as [Any]:
            let trees = elements.compactMap(Self.init)
            guard trees.count == elements.count else { return nil }
            self = .array(trees)
        case let members as [String: Any]:
            let trees = members.compactMap { name, value in
                // A number is no name.
                name.utf8.first == UInt8(ascii: "#")
                    ? nil : Self(value).map { Member(name: Array(name.utf8.dropFirst()), value: $0) }
            }
            guard trees.count == members.count else { return nil }
            self = .object(trees.sorted { $0.name.lexicographicallyPrecedes($1.name) })
        default: return nil
        }
    }
}

/// A JSON text in which numbers have become strings, and strings and numbers can be told apart by their first character.
///
/// Foundation's parser would round the numbers.
private struct JSONLiterals {
    private(set) var quoted: [UInt8] = []
    private(set) var colonCount = 0

    init(_ text: [UInt8]) throws(JSONTree.Flaw) {
        // Foundation guesses other encodings by these.
        guard String(validating: text, as: UTF8.self) != nil, !text.contains(0), !text.starts(with: [0xEF, 0xBB, 0xBF])
        else { throw .malformed }
        var rest = text[...]
        while let byte = rest.first {
            switch byte {
            case UInt8(ascii: "\""): try self.takeString(&rest)
            case UInt8(ascii: "-"), 0x30...0x39: try self.takeNumber(&rest)
            default:
                if byte == UInt8(ascii: ":") { self.colonCount += 1 }
                if "]}".utf8.contains(byte), self.endsInComma { throw .malformed }
                self.quoted.append(byte)
                rest.removeFirst()
            }
        }
    }

    /// Foundation takes a comma behind the last member.
    private var endsInComma: Bool { self.quoted.last { !" \t\r\n".utf8.contains($0) } == UInt8(ascii: ",") }

    private mutating func takeString(_ rest: inout ArraySlice<UInt8>) throws(JSONTree.Flaw) {
        rest.removeFirst()
        self.quoted += Array("\"$".utf8)
        while let byte = rest.popFirst() {
            guard byte >= 0x20 else { throw .malformed }
            self.quoted.append(byte)
            if byte == UInt8(ascii: "\"") { return }
            if byte == UInt8(ascii: "\\"), let escaped = rest.popFirst() { self.quoted.append(escaped) }
        }
        throw .malformed
    }

    private mutating func takeNumber(_ rest: inout ArraySlice<UInt8>) throws(JSONTree.Flaw) {
        let number = rest.prefix { "+-.0123456789eE".utf8.contains($0) }
        rest = rest.dropFirst(number.count)
        // RFC 8259, section 6.
        let grammar = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+\-]?[0-9]+)?/
        guard String(decoding: number, as: UTF8.self).wholeMatch(of: grammar) != nil else { throw .malformed }
        self.quoted += Array("\"#".utf8) + number + Array("\"".utf8)
    }
}

extension JSONTree {
    /// The same in another style: with white space, members in falling order, and every character escaped.
    var rewritten: [UInt8] {
        var text: [UInt8] = []
        self.write(to: &text)
        return text
    }

    private func write(to text: inout [UInt8]) {
        switch self {
        case .literal(let literal): text += literal
        case .string(let string): Self.write(string, to: &text)
        case .array(let elements):
            Self.write(elements, between: "[", "]", to: &text) { $0.write(to: &$1) }
        case .object(let members):
            Self.write(members.reversed(), between: "{", "}", to: &text) { member, text in
                Self.write(member.name, to: &text)
                text += Array("\t:\r\n".utf8)
                member.value.write(to: &text)
            }
        }
    }

    private static func write<Element>(
        _ elements: [Element], between start: String, _ end: String, to text: inout [UInt8],
        _ write: (Element, inout [UInt8]) -> Void
    ) {
        text += Array("\(start) ".utf8)
        for (index, element) in elements.enumerated() {
            if index > 0 { text += Array(" , ".utf8) }
            write(element, &text)
        }
        text += Array(" \(end)".utf8)
    }

    private static func write(_ string: [UInt8], to text: inout [UInt8]) {
        text.append(UInt8(ascii: "\""))
        for unit in String(decoding: string, as: UTF8.self).utf16 {
            let digits = String(unit, radix: 16, uppercase: unit.isMultiple(of: 2))
            text += Array("\\u\(String(repeating: "0", count: 4 - digits.count))\(digits)".utf8)
        }
        text.append(UInt8(ascii: "\""))
    }
}

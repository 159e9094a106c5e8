import Foundation

/// Reads JSON that a person has written: an error names its line, and a name that occurs twice in an object is one.
struct JSONReader {
    private static let maximumDepth = 16

    private let bytes: [UInt8]
    private var position = 0
    private var line = 1

    /// The members of a text that is an object.
    static func object(in bytes: [UInt8]) throws(JSONFlaw) -> [JSONMember] {
        var reader = JSONReader(bytes: bytes)
        let node = try reader.node(depth: 0)
        guard case .object(let members) = node.value else {
            throw JSONFlaw(line: node.line, "A JSON object was expected.")
        }
        reader.skipSpace()
        guard reader.byte == nil else { throw reader.unexpected }
        return members
    }

    private init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    private var byte: UInt8? { self.position < self.bytes.count ? self.bytes[self.position] : nil }

    /// What stands here does not belong here.
    private var unexpected: JSONFlaw {
        guard let byte else { return JSONFlaw(line: self.line, "This is no valid JSON: it ends too early.") }
        let isVisible = (0x21...0x7E).contains(byte)
        let character = isVisible ? "'\(Character(Unicode.Scalar(byte)))'" : "a character"
        return JSONFlaw(line: self.line, "This is no valid JSON: \(character) is not expected here.")
    }

    private mutating func skipSpace() {
        while let byte, [0x20, 0x09, 0x0A, 0x0D].contains(byte) {
            if byte == 0x0A { self.line += 1 }
            self.position += 1
        }
    }

    /// Whether the next character is this one, which is then passed.
    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        self.skipSpace()
        guard self.byte == UInt8(ascii: character) else { return false }
        self.position += 1
        return true
    }

    private mutating func expect(_ character: Unicode.Scalar) throws(JSONFlaw) {
        guard self.take(character) else { throw self.unexpected }
    }

    private mutating func node(depth: Int) throws(JSONFlaw) -> JSONNode {
        self.skipSpace()
        let line = self.line
        guard depth < Self.maximumDepth else { throw JSONFlaw(line: line, "This is nested too deep.") }
        return JSONNode(line: line, value: try self.value(depth: depth))
    }

    private mutating func value(depth: Int) throws(JSONFlaw) -> JSONNode.Value {
        switch self.byte {
        case UInt8(ascii: "{"): .object(try self.members(depth: depth))
        case UInt8(ascii: "["): .array(try self.elements(depth: depth))
        case UInt8(ascii: "\""): .text(try self.text())
        default: try self.literal()
        }
    }

    private mutating func members(depth: Int) throws(JSONFlaw) -> [JSONMember] {
        try self.expect("{")
        guard !self.take("}") else { return [] }
        var members: [JSONMember] = []
        repeat {
            self.skipSpace()
            let line = self.line
            let name = try self.text()
            guard !members.contains(where: { $0.name == name }) else {
                throw JSONFlaw(line: line, "'\(name)' is set twice.")
            }
            try self.expect(":")
            members.append(JSONMember(name: name, node: try self.node(depth: depth + 1)))
        } while self.take(",")
        try self.expect("}")
        return members
    }

    private mutating func elements(depth: Int) throws(JSONFlaw) -> [JSONNode] {
        try self.expect("[")
        guard !self.take("]") else { return [] }
        var nodes: [JSONNode] = []
        repeat {
            nodes.append(try self.node(depth: depth + 1))
        } while self.take(",")
        try self.expect("]")
        return nodes
    }

    private mutating func text() throws(JSONFlaw) -> String {
        let start = self.position
        try self.expect("\"")
        while let byte, byte != UInt8(ascii: "\"") {
            guard byte >= 0x20 else { throw self.unexpected }
            self.position += byte == UInt8(ascii: "\\") ? 2 : 1
        }
        try self.expect("\"")
        let token = Data(self.bytes[start..<self.position])
        guard let text = try? JSONDecoder().decode(String.self, from: token) else {
            throw JSONFlaw(line: self.line, "This is no valid JSON: the text cannot be read.")
        }
        return text
    }

    private mutating func literal() throws(JSONFlaw) -> JSONNode.Value {
        let start = self.position
        while let byte, Self.isInLiteral(byte) { self.position += 1 }
        let literal = String(decoding: self.bytes[start..<self.position], as: UTF8.self)
        switch literal {
        case "null": return .null
        case "true": return .flag(true)
        case "false": return .flag(false)
        case _ where literal.wholeMatch(of: /-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+\-]?[0-9]+)?/) != nil:
            return .number(literal)
        default:
            guard !literal.isEmpty else { throw self.unexpected }
            throw JSONFlaw(line: self.line, "This is no valid JSON: '\(literal)' is not expected here.")
        }
    }

    private static func isInLiteral(_ byte: UInt8) -> Bool {
        let character = Character(Unicode.Scalar(byte))
        return byte < 0x80 && (character.isLetter || character.isNumber || "+-._".contains(character))
    }
}

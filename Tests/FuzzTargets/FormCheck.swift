@testable import Idemptx

/// The form of a URL-encoded form is its fields, decoded and sorted by name, however they are spelt.
struct FormCheck {
    var canonicalize: @Sendable ([UInt8]) -> [UInt8]? = { CanonicalForm.canonicalize($0) }

    func check(_ text: [UInt8]) throws {
        let form = self.canonicalize(text)
        guard let fields = Self.fields(of: text) else {
            return try Violation.unless(form == nil, "A text has a form that cannot be decoded")
        }
        guard let form else { throw Violation("A text has no form that can be decoded") }
        let sorted = fields.enumerated().sorted { ($0.element[0], $0.offset) < ($1.element[0], $1.offset) }
        let expected = sorted.reduce(into: [UInt8]()) { bytes, field in
            for part in field.element { bytes.append(lengthPrefixed: Array(part.bytes)) }
        }
        try Violation.unless(form == expected, "The form is not that of its fields")
        let rewritten = sorted.map { $0.element.map(\.escaped).joined(separator: "=") }.joined(separator: "&&")
        try Violation.unless(self.canonicalize(Array(rewritten.utf8)) == form, "In another style, the form is another")
    }

    /// A name or a value, which is compared byte by byte.
    struct Part: Comparable {
        let bytes: [UInt8]

        static func < (lhs: Part, rhs: Part) -> Bool { lhs.bytes.lexicographicallyPrecedes(rhs.bytes) }

        var escaped: String {
            self.bytes.map { "%" + ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true) }.joined()
        }

        init?(_ text: [UInt8]) {
            var bytes: [UInt8] = []
            let pieces = text.split(separator: UInt8(ascii: "%"), omittingEmptySubsequences: false)
            for (index, piece) in pieces.enumerated() {
                let plain = index == 0 ? piece : piece.dropFirst(2)
                if index > 0 {
                    let digits = String(decoding: piece.prefix(2), as: UTF8.self)
                    guard digits.utf8.count == 2, !digits.hasPrefix("+"), !digits.hasPrefix("-"),
                        let byte = UInt8(digits, radix: 16)
                    else { return nil }
                    bytes.append(byte)
                }
                bytes += plain.map { $0 == UInt8(ascii: "+") ? UInt8(ascii: " ") : $0 }
            }
            self.bytes = bytes
        }
    }

    private static func fields(of text: [UInt8]) -> [[Part]]? {
        let fields = text.split(separator: UInt8(ascii: "&")).map { field in
            field.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
        }
        guard fields.count <= CanonicalForm.maximumFieldCount else { return nil }
        var decoded: [[Part]] = []
        for field in fields {
            guard let name = Part(Array(field[0])), let value = Part(field.count > 1 ? Array(field[1]) : []) else {
                return nil
            }
            decoded.append([name, value])
        }
        return decoded
    }
}

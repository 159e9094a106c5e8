/// The place of a value in a JSON text (RFC 6901), such as `/idempotency_key` or `/event/id`.
///
/// ```swift
/// let pointer = try JSONPointer("/idempotency_key")
/// ```
public struct JSONPointer: Hashable, Sendable {
    /// The text is not a JSON pointer: it is not empty and does not start with a slash, or a tilde is followed by something
    /// other than 0 or 1.
    package struct Malformed: Error, Hashable, Sendable {}

    /// The names and indices that lead to the value, unescaped.
    let tokens: [String]

    /// Parses a pointer.
    ///
    /// - Parameter text: The string representation (RFC 6901, section 5), with `~1` for a slash and `~0` for a tilde in
    ///   a name. The empty text points at the whole document.
    /// - Throws: An error if `text` is no pointer.
    public init(_ text: String) throws {
        guard text.isEmpty || text.utf8.first == UInt8(ascii: "/") else { throw Malformed() }
        var tokens: [String] = []
        // By code points: a name may begin with a combining mark.
        for token in text.unicodeScalars.split(separator: "/", omittingEmptySubsequences: false).dropFirst() {
            tokens.append(try Self.unescape(token))
        }
        self.tokens = tokens
    }

    private static func unescape(_ token: Substring.UnicodeScalarView) throws(Malformed) -> String {
        var unescaped = ""
        var rest = token
        while let scalar = rest.popFirst() {
            guard scalar == "~" else {
                unescaped.unicodeScalars.append(scalar)
                continue
            }
            switch rest.popFirst() {
            case "0": unescaped.append("~")
            case "1": unescaped.append("/")
            default: throw Malformed()
            }
        }
        return unescaped
    }
}

extension JSONPointer: CustomStringConvertible {
    /// The string representation of the pointer.
    public var description: String {
        self.tokens.map { "/" + $0.unicodeScalars.map(Self.escape).joined() }.joined()
    }

    private static func escape(_ scalar: Unicode.Scalar) -> String {
        switch scalar {
        case "~": "~0"
        case "/": "~1"
        default: String(scalar)
        }
    }
}

/// Some of the paths that a request can have, such as `/orders/*/refunds` or `/webhooks/**`.
///
/// A path is compared segment by segment, without its query. Percent-encoded characters are the characters they stand
/// for, so that `/%6frders` is `/orders`, and `/a%2Fb` is one segment. Case matters. Neither empty segments nor those of
/// dots are removed: `/orders` is neither `/orders/` nor `/x/../orders`.
public struct PathPattern: Hashable, Sendable {
    private enum Segment: Hashable, Sendable {
        case exactly([UInt8])
        case any
    }

    private let segments: [Segment]
    private let isOpen: Bool
    /// The text of the pattern.
    public let description: String

    /// Creates a pattern.
    ///
    /// - Parameter text: A path, in which a segment `*` stands for any one segment that is not empty, and a last segment
    ///   `**` for any number of segments, also none.
    /// - Throws: ``InvalidProxyConfiguration``.
    public init(_ text: String) throws(InvalidProxyConfiguration) {
        guard text.hasPrefix("/") else {
            throw InvalidProxyConfiguration("The path pattern \(text) does not start with a slash.")
        }
        var parts = Self.split(text[...])
        self.isOpen = parts.last == "**"
        if self.isOpen { parts.removeLast() }
        guard parts.allSatisfy({ $0 == "*" || !$0.contains("*") }) else {
            throw InvalidProxyConfiguration(
                "In the path pattern \(text), * has to be a whole segment, and ** the last one.")
        }
        self.segments = parts.map { $0 == "*" ? .any : .exactly(Self.decoded($0)) }
        self.description = text
    }

    /// Whether the path of a request is one of these.
    ///
    /// - Parameter target: The path as it was sent, with or without a query.
    /// - Returns: Whether it matches.
    public func matches(_ target: String) -> Bool {
        let path = target.prefix { $0 != "?" }
        guard path.hasPrefix("/") else { return false }
        let parts = Self.split(path)
        guard self.isOpen ? parts.count >= self.segments.count : parts.count == self.segments.count else {
            return false
        }
        return zip(self.segments, parts).allSatisfy { segment, part in
            switch segment {
            case .any: !part.isEmpty
            case .exactly(let bytes): Self.decoded(part) == bytes
            }
        }
    }

    private static func split(_ path: Substring) -> [Substring] {
        Array(path.split(separator: "/", omittingEmptySubsequences: false).dropFirst())
    }

    /// What does not stand for a character stands for itself.
    private static func decoded(_ segment: Substring) -> [UInt8] {
        var decoded: [UInt8] = []
        var rest = segment.utf8
        while let byte = rest.popFirst() {
            let digits = rest.prefix(2).compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
            if byte == UInt8(ascii: "%"), digits.count == 2 {
                decoded.append(UInt8(digits[0] << 4 | digits[1]))
                rest = rest.dropFirst(2)
            } else {
                decoded.append(byte)
            }
        }
        return decoded
    }
}

/// Some of the paths that a request can have, such as `/orders/*/refunds` or `/webhooks/**`.
///
/// A path is compared segment by segment, without its query, as upstreams read it: `//orders`, `/./orders`, `/x/../orders`
/// and `/orders;v=1` are `/orders`. Percent-encoded characters are the characters they stand for, so that `/%6frders` is
/// `/orders`; only `%2F` does not divide: `/a%2Fb` is one segment. Case matters, and `/orders/` is not `/orders`. Requests
/// pass with the path that was sent.
///
/// Some upstreams read a path otherwise. A request whose path would be held to a stricter rule then, one that guards it or
/// requires a key, is refused with 400.
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
    /// - Throws: ``InvalidProxyConfiguration``, also for a path that no request has, such as `/a//b`.
    public init(_ text: String) throws(InvalidProxyConfiguration) {
        guard text.hasPrefix("/") else {
            throw InvalidProxyConfiguration("The path pattern \(text) does not start with a slash.")
        }
        var parts = text.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        self.isOpen = parts.last == "**"
        if self.isOpen { parts.removeLast() }
        guard parts.allSatisfy({ $0 == "*" || !$0.contains("*") }) else {
            throw InvalidProxyConfiguration(
                "In the path pattern \(text), * has to be a whole segment, and ** the last one.")
        }
        let literal = parts.map { PathReading.decoded($0.utf8) }
        guard PathReading.usual.segments(of: text[...]) == literal + (self.isOpen ? [Array("**".utf8)] : []) else {
            throw InvalidProxyConfiguration(
                "The path pattern \(text) matches nothing: write it without empty segments, dot segments, and parameters."
            )
        }
        self.segments = zip(parts, literal).map { $0 == "*" ? .any : .exactly($1) }
        self.description = text
    }

    /// Whether the path of a request is one of these.
    ///
    /// - Parameter target: The path as it was sent, with or without a query.
    /// - Returns: Whether it matches.
    public func matches(_ target: String) -> Bool {
        PathReading.usual.segments(of: target.path).map { self.matches($0) } ?? false
    }

    func matches(_ path: [[UInt8]]) -> Bool {
        guard self.isOpen ? path.count >= self.segments.count : path.count == self.segments.count else {
            return false
        }
        return zip(self.segments, path).allSatisfy { segment, part in
            switch segment {
            case .any: !part.isEmpty
            case .exactly(let bytes): part == bytes
            }
        }
    }
}

extension String {
    /// The path of a target, without the query.
    var path: Substring {
        let end = self.utf8.firstIndex(of: UInt8(ascii: "?")) ?? self.endIndex
        return self[..<end]
    }
}

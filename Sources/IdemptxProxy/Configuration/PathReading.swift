/// One of the ways in which an upstream may read a path; what it does to it before it looks who is responsible.
///
/// Percent-encoded characters are always those they stand for, but for slashes: in `/a%2Fb`, there is one segment for some,
/// and two for those that decode first.
struct PathReading: OptionSet, Hashable, Sendable {
    let rawValue: UInt8

    /// `//a` is `/a`.
    static let mergingSlashes = PathReading(rawValue: 1)
    /// `/a/./../b` is `/b` (RFC 3986, section 5.2.4), also where the dots are percent-encoded.
    static let resolvingDots = PathReading(rawValue: 2)
    /// `/a;v=1` is `/a`.
    static let withoutParameters = PathReading(rawValue: 4)
    /// `/a%2Fb` is `/a/b`, and so are `/a\b` and `/a%5Cb`.
    static let decodingSlashes = PathReading(rawValue: 8)

    /// What nearly all upstreams do, or refuse.
    static let usual: PathReading = [.mergingSlashes, .resolvingDots, .withoutParameters]

    /// All other ways.
    static let others = (0..<16).map { PathReading(rawValue: $0) }.filter { $0 != .usual }

    /// Whether a path is the same to everybody.
    static func isPlain(_ path: Substring) -> Bool {
        var isAfterSlash = false
        for byte in path.utf8 {
            switch byte {
            case UInt8(ascii: "%"), UInt8(ascii: ";"), UInt8(ascii: "\\"): return false
            case UInt8(ascii: "/"), UInt8(ascii: "."): if isAfterSlash { return false }
            default: break
            }
            isAfterSlash = byte == UInt8(ascii: "/")
        }
        return true
    }

    /// The segments of a path, decoded.
    ///
    /// - Parameter path: The path, which starts with a slash.
    /// - Returns: The segments; `nil` if it is no such path.
    func segments(of path: Substring) -> [[UInt8]]? {
        guard path.utf8.first == UInt8(ascii: "/") else { return nil }
        let bytes = self.contains(.decodingSlashes) ? Self.withDecodedSlashes(path.utf8) : Array(path.utf8)
        var segments = bytes.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).map {
            Self.decoded(self.contains(.withoutParameters) ? $0.prefix { $0 != UInt8(ascii: ";") } : $0)
        }
        if self.contains(.mergingSlashes) {
            let last = segments.removeLast()
            segments = segments.filter { !$0.isEmpty } + [last]
        }
        return self.contains(.resolvingDots) ? Self.resolved(segments) : segments
    }

    private static func resolved(_ segments: [[UInt8]]) -> [[UInt8]] {
        var resolved: [[UInt8]] = []
        for segment in segments {
            switch segment {
            case [UInt8(ascii: ".")]: break
            case [UInt8(ascii: "."), UInt8(ascii: ".")]: _ = resolved.popLast()
            default: resolved.append(segment)
            }
        }
        // What ends in dots is a directory.
        let endsInDots = segments.last.map { $0 == Array(".".utf8) || $0 == Array("..".utf8) } ?? false
        return endsInDots || resolved.isEmpty ? resolved + [[]] : resolved
    }

    private static func withDecodedSlashes(_ path: Substring.UTF8View) -> [UInt8] {
        var decoded: [UInt8] = []
        var rest = path
        while let byte = rest.popFirst() {
            let code = rest.prefix(2).map { $0 | 0x20 }
            if byte == UInt8(ascii: "\\") {
                decoded.append(UInt8(ascii: "/"))
            } else if byte == UInt8(ascii: "%"), code == Array("2f".utf8) || code == Array("5c".utf8) {
                decoded.append(UInt8(ascii: "/"))
                rest = rest.dropFirst(2)
            } else {
                decoded.append(byte)
            }
        }
        return decoded
    }

    /// What does not stand for a character stands for itself.
    static func decoded(_ segment: some Collection<UInt8>) -> [UInt8] {
        var decoded: [UInt8] = []
        var rest = segment[...]
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

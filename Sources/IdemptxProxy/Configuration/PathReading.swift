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
        Self.replacingCodes(in: Array(path)) { code in
            code == UInt8(ascii: "/") || code == UInt8(ascii: "\\") ? UInt8(ascii: "/") : nil
        }.map { $0 == UInt8(ascii: "\\") ? UInt8(ascii: "/") : $0 }
    }

    /// What does not stand for a character stands for itself.
    static func decoded(_ segment: some Collection<UInt8>) -> [UInt8] {
        Self.replacingCodes(in: Array(segment)) { $0 }
    }

    /// Puts characters in the place of their codes, such as `%2F`, but for those that stay.
    private static func replacingCodes(in bytes: [UInt8], by character: (UInt8) -> UInt8?) -> [UInt8] {
        guard bytes.contains(UInt8(ascii: "%")) else { return bytes }
        var (replaced, index) = ([UInt8](), 0)
        replaced.reserveCapacity(bytes.count)
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count, let high = bytes[index + 1].hexDigit,
                let low = bytes[index + 2].hexDigit, let character = character(high << 4 | low)
            {
                replaced.append(character)
                index += 3
            } else {
                replaced.append(bytes[index])
                index += 1
            }
        }
        return replaced
    }
}

extension UInt8 {
    fileprivate var hexDigit: UInt8? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
        case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
        case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}

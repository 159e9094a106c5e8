@testable import Idemptx

/// A multipart body has the form of its parts, whatever its boundary is, what stands around them, and in which order
/// the headers of a part come.
struct MultipartCheck {
    /// Reads the boundary, a line break, and the body.
    func check(_ input: [UInt8]) throws {
        let parts = input.split(separator: UInt8(ascii: "\n"), maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { return }
        let (boundary, body) = (String(decoding: parts[0], as: UTF8.self), Array(parts[1]))
        guard let form = CanonicalMultipart.canonicalize(body, boundary: boundary) else { return }
        let other = Self.unused(in: body)
        let rewritten = try Self.rewritten(body, boundary: boundary, to: other)
        try Violation.unless(
            CanonicalMultipart.canonicalize(rewritten, boundary: other) == form,
            "In another style, the form is another")
    }

    private static func unused(in body: [UInt8]) -> String {
        var number = 0
        while body.contains(Array("boundary\(number)".utf8)) { number += 1 }
        return "boundary\(number)"
    }

    private static func rewritten(_ body: [UInt8], boundary: String, to other: String) throws -> [UInt8] {
        var parts = try MultipartParts(body, boundary: boundary)
        var text = Array("a preamble\r\n--\(other)".utf8)
        while let part = try parts.next() {
            text += Array(" \t\r\n".utf8)
            for header in part.headers.reversed() {
                text += header.name.map { (0x61...0x7A).contains($0) ? $0 - 0x20 : $0 }
                text += Array(":  ".utf8) + header.value + Array(" \r\n".utf8)
            }
            text += Array("\r\n".utf8) + part.body + Array("\r\n--\(other)".utf8)
        }
        return text + Array("-- an epilogue".utf8)
    }
}

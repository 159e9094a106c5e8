@testable import Idemptx

/// A multipart body has the form of its parts, whatever its boundary is, what stands around them, and in which order
/// the headers of a part come.
struct MultipartCheck {
    var canonicalize: @Sendable ([UInt8], String) -> [UInt8]? = { CanonicalMultipart.canonicalize($0, boundary: $1) }

    func check(_ input: [UInt8]) throws {
        try self.checkWritten(input)
        try self.checkRewritten(input)
    }

    // MARK: Parts that are written

    private struct Part {
        var headers: [(name: [UInt8], value: [UInt8])] = []
        var body: [UInt8] = []

        /// Takes pieces for the headers of a part, and the last one for its body; `nil` if a header cannot be written.
        init?(_ pieces: [ArraySlice<UInt8>]) {
            self.body = Array(pieces.last ?? [])
            for piece in pieces.dropLast() {
                guard let colon = piece.firstIndex(of: UInt8(ascii: ":")), !piece.contains(0x0D) else { return nil }
                let value = Array(piece[(colon + 1)...])
                let isSpace = { (byte: UInt8?) in byte == 0x20 || byte == 0x09 }
                guard !isSpace(value.first), !isSpace(value.last) else { return nil }
                self.headers.append((Array(piece[..<colon]), value))
            }
            guard self.headers.count <= MultipartParts.maximumHeaderCount else { return nil }
        }

        /// The lengths in front of what they count, and the headers sorted, with names in lower case.
        var form: [UInt8] {
            let headers = self.headers.map { header in
                var line: [UInt8] = []
                line.append(lengthPrefixed: header.name.map { (0x41...0x5A).contains($0) ? $0 + 0x20 : $0 })
                line.append(lengthPrefixed: header.value)
                return line
            }
            var form: [UInt8] = []
            form.append(lengthPrefixed: headers.sorted { $0.lexicographicallyPrecedes($1) }.flatMap { $0 })
            form.append(lengthPrefixed: self.body)
            return form
        }

        func write(boundary: String) -> [UInt8] {
            let headers = self.headers.flatMap { $0.name + Array(": \t".utf8) + $0.value + Array(" \r\n".utf8) }
            return Array("--\(boundary)\r\n".utf8) + headers + Array("\r\n".utf8) + self.body + Array("\r\n".utf8)
        }
    }

    /// Takes the input for parts with a byte 0x01 between them, which have a byte 0x02 behind each of their headers.
    private func checkWritten(_ input: [UInt8]) throws {
        let pieces = input.split(separator: 1, omittingEmptySubsequences: false)
        let parts = pieces.compactMap { Part($0.split(separator: 2, omittingEmptySubsequences: false)) }
        guard parts.count == pieces.count, parts.count <= MultipartParts.maximumPartCount else { return }
        let boundary = Self.unused(in: input)
        let text = parts.flatMap { $0.write(boundary: boundary) } + Array("--\(boundary)--".utf8)
        try Violation.unless(
            self.canonicalize(text, boundary) == parts.flatMap(\.form), "The form is not that of the parts")
    }

    private static func unused(in body: [UInt8]) -> String {
        var number = 0
        while body.contains(Array("boundary\(number)".utf8)) { number += 1 }
        return "boundary\(number)"
    }

    // MARK: Bodies that are rewritten

    /// Takes the input for a boundary, a line break, and a body.
    private func checkRewritten(_ input: [UInt8]) throws {
        let parts = input.split(separator: UInt8(ascii: "\n"), maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { return }
        let (boundary, body) = (String(decoding: parts[0], as: UTF8.self), Array(parts[1]))
        guard let form = self.canonicalize(body, boundary) else { return }
        let other = Self.unused(in: body)
        let rewritten = try Self.rewritten(body, boundary: boundary, to: other)
        try Violation.unless(self.canonicalize(rewritten, other) == form, "In another style, the form is another")
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

/// The parts of a multipart body (RFC 2046, section 5.1.1), in their order.
///
/// What stands before the first part or after the last one is left out. Each byte is looked at a few times, whatever the
/// number of parts.
struct MultipartParts {
    /// The body cannot be read with this boundary, or breaks a limit.
    struct Malformed: Error {}

    struct Part {
        /// The lines before the empty one, each without its line break.
        let headers: [Header]
        let body: ArraySlice<UInt8>
    }

    struct Header {
        let name: ArraySlice<UInt8>
        /// Without the white space around it.
        let value: ArraySlice<UInt8>
    }

    /// RFC 2046 permits no longer boundary.
    private static let maximumBoundaryLength = 70
    /// Forms have a few parts; each takes far more memory than its bytes.
    static let maximumPartCount = 1_000
    /// A part of a form has two or three.
    static let maximumHeaderCount = 32
    static let maximumHeaderLength = 8 * 1024

    private static let lineBreak = Array("\r\n".utf8)
    private static let closingMark = Array("--".utf8)

    private var rest: ArraySlice<UInt8>
    private let delimiter: [UInt8]
    private var partCount = 0

    /// Starts in front of the first part.
    init(_ body: [UInt8], boundary: String?) throws(Malformed) {
        guard let boundary, !boundary.isEmpty, boundary.utf8.count <= Self.maximumBoundaryLength else {
            throw Malformed()
        }
        // A delimiter starts with a line break, which may be missing before the first part.
        self.delimiter = Self.lineBreak + Self.closingMark + Array(boundary.utf8)
        self.rest = body[...]
        let first = self.delimiter.dropFirst(Self.lineBreak.count)
        if self.rest.starts(with: first) {
            self.rest = self.rest.dropFirst(first.count)
        } else if self.rest.removePrefix(through: self.delimiter) == nil {
            throw Malformed()
        }
    }

    /// The next part; `nil` behind the last one.
    mutating func next() throws(Malformed) -> Part? {
        if self.rest.starts(with: Self.closingMark) { return nil }
        self.partCount += 1
        guard self.partCount <= Self.maximumPartCount,
            let padding = self.rest.removePrefix(through: Self.lineBreak),
            padding.trimmingOptionalWhitespace().isEmpty,
            var part = self.rest.removePrefix(through: self.delimiter)
        else { throw Malformed() }
        return Part(headers: try Self.removeHeaders(from: &part), body: part)
    }

    private static func removeHeaders(from part: inout ArraySlice<UInt8>) throws(Malformed) -> [Header] {
        var headers: [Header] = []
        while true {
            // An empty line ends the headers; without one, a header could pass for the body.
            guard let line = part.removePrefix(through: self.lineBreak) else { throw Malformed() }
            if line.isEmpty { return headers }
            guard headers.count < self.maximumHeaderCount, line.count <= self.maximumHeaderLength,
                let colon = line.firstIndex(of: UInt8(ascii: ":"))
            else { throw Malformed() }
            headers.append(
                Header(name: line[..<colon], value: line[(colon + 1)...].trimmingOptionalWhitespace()))
        }
    }
}

/// Rewrites multipart bodies so that two bodies with the same parts become the same bytes.
///
/// The parts keep their order. Neither the boundary counts, nor what stands before the first or after the last of them.
enum CanonicalMultipart {
    /// The canonical form of `body`, or `nil` if it is not multipart with this boundary, or breaks a limit.
    static func canonicalize(_ body: [UInt8], boundary: String?) -> [UInt8]? {
        try? self.canonicalText(of: body, boundary: boundary)
    }

    private static func canonicalText(
        of body: [UInt8],
        boundary: String?
    ) throws(MultipartParts.Malformed) -> [UInt8] {
        var parts = try MultipartParts(body, boundary: boundary)
        var output: [UInt8] = []
        output.reserveCapacity(body.count)
        while let part = try parts.next() {
            let headers = part.headers.map { header in
                var line: [UInt8] = []
                line.append(lengthPrefixed: header.name.map(\.lowercased))
                line.append(lengthPrefixed: header.value)
                return line
            }
            output.append(lengthPrefixed: headers.sorted { $0.lexicographicallyPrecedes($1) }.flatMap(\.self))
            output.append(lengthPrefixed: part.body)
        }
        return output
    }
}

/// A form whose fields are the parts of a multipart body (RFC 7578).
enum MultipartForm {
    /// The value of the only field with a name.
    ///
    /// - Returns: The value; `nil` if there is no such field.
    /// - Throws: `malformed` if the form cannot be read, `repeated` if there are several such fields.
    static func onlyValue(
        of name: String,
        in body: [UInt8],
        boundary: String?
    ) throws(IdempotencyKey.ValidationError) -> String? {
        let values: [ArraySlice<UInt8>]
        do {
            values = try self.values(of: name, in: body, boundary: boundary)
        } catch {
            throw .malformed
        }
        guard values.count < 2 else { throw .repeated }
        return values.first.map { String(decoding: $0, as: UTF8.self) }
    }

    private static func values(
        of name: String,
        in body: [UInt8],
        boundary: String?
    ) throws(MultipartParts.Malformed) -> [ArraySlice<UInt8>] {
        var parts = try MultipartParts(body, boundary: boundary)
        var values: [ArraySlice<UInt8>] = []
        while let part = try parts.next() {
            if self.name(of: part)?.utf8.elementsEqual(name.utf8) == true { values.append(part.body) }
        }
        return values
    }

    private static func name(of part: MultipartParts.Part) -> String? {
        part.headers.first { $0.name.map(\.lowercased).elementsEqual("content-disposition".utf8) }
            .flatMap { MediaType.parameters(ofDisposition: String(decoding: $0.value, as: UTF8.self)) }?
            .first { $0.name == "name" }?.value
    }
}

extension UInt8 {
    /// The byte with an ASCII letter in lower case.
    var lowercased: UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self) ? self | 0x20 : self
    }
}

extension ArraySlice<UInt8> {
    /// Removes everything up to the end of the first `pattern`, none of whose other bytes is its first one.
    ///
    /// - Returns: What stood before `pattern`; `nil`, with nothing removed, if it does not occur.
    fileprivate mutating func removePrefix(through pattern: [UInt8]) -> ArraySlice<UInt8>? {
        guard let first = pattern.first else { return nil }
        var start = self.startIndex
        while let candidate = self[start...].firstIndex(of: first) {
            if self[candidate...].starts(with: pattern) {
                defer { self = self[(candidate + pattern.count)...] }
                return self[..<candidate]
            }
            start = candidate + 1
        }
        return nil
    }
}

package import HTTPTypes
import RawStructuredFieldValues

/// The `Idempotency-Key` request header.
///
/// The field is a structured-field string (draft-ietf-httpapi-idempotency-key-header-07, section 2.1), yet nearly every
/// client sends it bare. Both forms decode to the same ``IdempotencyKey``, so that a client that starts to quote between
/// two retries does not run twice.
package enum KeyHeader {
    /// Decodes the key of a request.
    ///
    /// A value that starts with a quote has to be a structured-field string; its parameters are ignored. Any other value
    /// may hold only `A-Z a-z 0-9 _ . : ~ + / = -`.
    ///
    /// - Parameters:
    ///   - fields: The header fields of the request.
    ///   - maximumLength: The longest decoded key to accept, in characters.
    /// - Returns: The key, or `nil` if the header is absent.
    /// - Throws: The rule that the header breaks. The request must then be refused: RFC 8941 would ignore the field,
    ///   which silently drops the protection; RFC 9651, section 4.2 permits to treat the message as malformed.
    package static func key(
        in fields: HTTPFields,
        maximumLength: Int = 255
    ) throws(IdempotencyKey.ValidationError) -> IdempotencyKey? {
        guard let line = try fields.onlyLine(of: .idempotencyKey) else { return nil }
        return try IdempotencyKey(self.decode(line), maximumLength: maximumLength)
    }

    /// The room for parameters, whose parser takes a time that grows with the square of their number.
    private static let maximumParameterLength = 1024

    private static func decode(_ line: String) throws(IdempotencyKey.ValidationError) -> String {
        let value = Substring(line.utf8.trimmingOptionalWhitespace())
        if value.utf8.first == UInt8(ascii: "\"") {
            return try self.decodeStructuredString(value.utf8)
        }
        // Before its characters: a client that sends `[object Object]` is to be told what it is.
        guard !IdempotencyKey.isPlaceholder(value) else { throw .placeholder }
        guard value.utf8.allSatisfy(self.isBareCharacter) else { throw .invalidCharacter }
        return String(value)
    }

    private static func decodeStructuredString(
        _ value: Substring.UTF8View
    ) throws(IdempotencyKey.ValidationError) -> String {
        var text: [UInt8] = []
        var rest = value.dropFirst()
        scan: while true {
            switch rest.popFirst() {
            case UInt8(ascii: "\""): break scan
            case UInt8(ascii: "\\"):
                guard let escaped = rest.popFirst(), escaped == UInt8(ascii: "\"") || escaped == UInt8(ascii: "\\")
                else { throw .malformed }
                text.append(escaped)
            case .some(let byte) where (0x20...0x7E).contains(byte): text.append(byte)
            default: throw .malformed
            }
        }
        try self.checkParameters(rest)
        return String(decoding: text, as: UTF8.self)
    }

    private static func checkParameters(
        _ parameters: Substring.UTF8View
    ) throws(IdempotencyKey.ValidationError) {
        guard !parameters.isEmpty else { return }
        guard parameters.count <= self.maximumParameterLength else { throw .tooLong }
        var parser = StructuredFieldValueParser(Array("\"\"".utf8) + parameters)
        guard (try? parser.parseItemFieldValue()) != nil else { throw .malformed }
    }

    private static func isBareCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        case UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: ":"), UInt8(ascii: "~"), UInt8(ascii: "+"),
            UInt8(ascii: "/"), UInt8(ascii: "="), UInt8(ascii: "-"):
            true
        default:
            false
        }
    }
}

extension HTTPFields {
    /// The value of a field; `nil` if it is absent.
    ///
    /// The subscript joins the lines of a field, which takes longer than all the rest of a short fingerprint.
    func line(of name: HTTPField.Name) -> String? {
        var line: String?
        for field in self where field.name == name {
            if line != nil { return self[name] }
            line = field.value
        }
        return line
    }

    /// The value of a field that may not be repeated; `nil` if it is absent.
    func onlyLine(of name: HTTPField.Name) throws(IdempotencyKey.ValidationError) -> String? {
        var line: String?
        for field in self where field.name == name {
            guard line == nil else { throw .repeated }
            line = field.value
        }
        return line
    }
}

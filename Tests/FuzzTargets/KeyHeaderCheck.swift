import HTTPTypes
import RawStructuredFieldValues

@testable import Idemptx

/// A key that is accepted is the one that a parser of structured fields finds, however it is spelt, and is of one line.
struct KeyHeaderCheck {
    var key: @Sendable (HTTPFields) throws -> IdempotencyKey? = { try KeyHeader.key(in: $0) }

    func check(_ input: [UInt8]) throws {
        let lines = input.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            .map { HTTPField(name: .idempotencyKey, value: String(decoding: $0, as: UTF8.self)) }
        let key: IdempotencyKey
        do {
            guard let decoded = try self.key(HTTPFields(lines)) else {
                throw Violation("A header is there, and no key")
            }
            key = decoded
        } catch is IdempotencyKey.ValidationError {
            return
        }
        try Violation.unless(lines.count == 1, "A key was accepted though the header is repeated")
        try Violation.unless((1...255).contains(key.rawValue.count), "A key of \(key.rawValue.count) characters")
        let value = lines[0].value.utf8.trimmingOptionalWhitespace()
        if value.first == UInt8(ascii: "\"") {
            var parser = StructuredFieldValueParser(Array(value))
            guard let item = try? parser.parseItemFieldValue(), case .string(let text) = item.rfc9651BareItem else {
                throw Violation("A value was accepted that is no structured-field string")
            }
            try Violation.unless(text.utf8.elementsEqual(key.rawValue.utf8), "Another key than the parser's")
        } else {
            let bare = try IdempotencyKey(String(Substring(value)))
            try Violation.unless(bare == key, "Another key than what was sent")
        }
        let again = try? self.key([.idempotencyKey: key.rawValue.quoted])
        try Violation.unless(again?.rawValue == key.rawValue, "The key, quoted, is not the same key")
    }
}

/// A client-chosen name for one logical operation.
///
/// Two requests that carry the same key inside the same ``Scope`` are attempts at the *same* operation: the second
/// never runs the handler again.
///
/// ```swift
/// let key = try IdempotencyKey("8e03978e-40d5-43e8-bc93-6894a57f9324")
/// ```
///
/// Keys are compared byte for byte: nothing is trimmed, and case matters. The one exception is a UUID in its 8-4-4-4-12
/// form, in which case does not matter (RFC 9562, section 4): some libraries write it in upper case, and databases give
/// it back in lower case.
///
/// The text of a key never appears in the descriptions of this type, so that it does not reach a log by accident; ask for
/// ``rawValue``.
package struct IdempotencyKey: Sendable {
    /// The decoded text of the key as the client sent it, without the quotes of its header form.
    package let rawValue: String

    /// The text by which keys are compared: ``rawValue``, with UUIDs in lower case.
    let canonicalValue: String

    /// Creates a key after checking it.
    ///
    /// - Parameters:
    ///   - rawValue: The decoded key: printable ASCII (%x20-7E), at least one character, and nothing that programs write
    ///     where a value is missing.
    ///   - maximumLength: The longest key to accept, in characters.
    /// - Throws: A ``ValidationError`` that says which rule `rawValue` breaks.
    package init(_ rawValue: String, maximumLength: Int = 255) throws(ValidationError) {
        guard !rawValue.isEmpty else { throw .empty }
        guard !Self.isPlaceholder(rawValue) else { throw .placeholder }
        guard rawValue.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else { throw .invalidCharacter }
        guard rawValue.utf8.count <= maximumLength else { throw .tooLong }
        self.rawValue = rawValue
        self.canonicalValue = Self.isUUID(rawValue) ? rawValue.lowercased() : rawValue
    }

    /// Creates a key that nothing is stored under.
    init(unchecked rawValue: String) {
        self.rawValue = rawValue
        self.canonicalValue = rawValue
    }

    /// Creates the key that several keys are together.
    ///
    /// - Parameters:
    ///   - parts: The keys, in an order that does not change between two retries.
    ///   - maximumLength: The longest key to accept, in characters.
    /// - Throws: ``ValidationError/tooLong``.
    init(joining parts: [IdempotencyKey], maximumLength: Int) throws(ValidationError) {
        self.rawValue = parts.map { Self.escapeSeparator(in: $0.rawValue) }.joined(separator: ";")
        self.canonicalValue = parts.map { Self.escapeSeparator(in: $0.canonicalValue) }.joined(separator: ";")
        guard self.rawValue.utf8.count <= maximumLength else { throw .tooLong }
    }

    /// Keeps `a;b` and `c` from meeting `a` and `b;c`.
    private static func escapeSeparator(in text: String) -> String {
        guard text.utf8.contains(where: { $0 == UInt8(ascii: ";") || $0 == UInt8(ascii: "%") }) else { return text }
        return text.reduce(into: "") { escaped, character in
            switch character {
            case ";": escaped += "%3B"
            case "%": escaped += "%25"
            default: escaped.append(character)
            }
        }
    }

    /// Whether `text` is what a program writes where it has no value: the same text for every operation of every client
    /// with that fault.
    static func isPlaceholder(_ text: some StringProtocol) -> Bool {
        switch text {
        case "undefined", "null", "None", "nil", "NaN", "[object Object]", "00000000-0000-0000-0000-000000000000": true
        default: false
        }
    }

    /// Whether `text` is a UUID in its 8-4-4-4-12 form.
    private static func isUUID(_ text: String) -> Bool {
        guard text.utf8.count == 36 else { return false }
        return text.utf8.enumerated().allSatisfy { index, byte in
            switch index {
            case 8, 13, 18, 23: byte == UInt8(ascii: "-")
            default: byte.hexDigitValue != nil
            }
        }
    }

    /// The rule that a rejected key breaks.
    package enum ValidationError: String, Error, Sendable {
        /// The key has no characters.
        case empty
        /// The key is longer than the limit.
        case tooLong = "too_long"
        /// The key holds a character outside of the permitted set.
        case invalidCharacter = "invalid_character"
        /// The key is what programs write where a value is missing: `undefined`, `null`, `None`, `nil`, `NaN`,
        /// `[object Object]`, or the nil UUID.
        case placeholder
        /// The header value starts with a quote and is not a structured-field string (RFC 9651, section 3.3.3); or the body
        /// or query cannot be read, or holds something else than a string or an integer where the key is looked for.
        case malformed
        /// The header of the key stands on more than one line, even if the lines are equal (RFC 9110, section 5.3); or a
        /// form or query has more than one field of its name.
        case repeated
        /// The key is looked for in a body, and bodies of this media type cannot have it there.
        case unsupportedMediaType = "unsupported_media_type"
    }
}

extension IdempotencyKey: Hashable {
    /// Whether two keys name the same operation.
    package static func == (lhs: IdempotencyKey, rhs: IdempotencyKey) -> Bool {
        lhs.canonicalValue == rhs.canonicalValue
    }

    /// Hashes what ``==(_:_:)`` compares.
    package func hash(into hasher: inout Hasher) {
        hasher.combine(self.canonicalValue)
    }
}

extension IdempotencyKey: CustomStringConvertible {
    /// The length of the key; its text is left out.
    package var description: String { "IdempotencyKey(\(self.rawValue.utf8.count) characters)" }
}

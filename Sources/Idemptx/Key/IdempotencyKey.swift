/// A client-chosen name for one logical operation.
///
/// Two requests that carry the same key inside the same ``Scope`` are attempts at the *same* operation: the second
/// never runs the handler again.
///
/// ```swift
/// let key = try IdempotencyKey("8e03978e-40d5-43e8-bc93-6894a57f9324")
/// ```
///
/// Keys are compared byte for byte: nothing is trimmed, and case matters. The text of a key never appears in the
/// descriptions of this type, so that it does not reach a log by accident; ask for ``rawValue``.
public struct IdempotencyKey: Hashable, Sendable {
    /// The longest key that is accepted unless a policy says otherwise, in characters.
    public static let defaultMaximumLength = 255

    /// The decoded text of the key, without the quotes of its header form.
    public let rawValue: String

    /// Creates a key after checking it.
    ///
    /// - Parameters:
    ///   - rawValue: The decoded key: printable ASCII (%x20-7E), at least one character.
    ///   - maximumLength: The longest key to accept, in characters.
    /// - Throws: A ``ValidationError`` that says which rule `rawValue` breaks.
    public init(
        _ rawValue: String,
        maximumLength: Int = IdempotencyKey.defaultMaximumLength
    ) throws(ValidationError) {
        guard !rawValue.isEmpty else { throw .empty }
        guard rawValue.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else { throw .invalidCharacter }
        guard rawValue.utf8.count <= maximumLength else { throw .tooLong }
        self.rawValue = rawValue
    }

    /// The rule that a rejected key breaks.
    public enum ValidationError: String, Error, Sendable {
        /// The key has no characters.
        case empty
        /// The key is longer than the limit.
        case tooLong = "too_long"
        /// The key holds a character outside of the permitted set.
        case invalidCharacter = "invalid_character"
        /// The header value starts with a quote and is not a structured-field string (RFC 9651, section 3.3.3); or the body
        /// cannot be read, or holds something else than a string or an integer where the key is looked for.
        case malformed
        /// The header of the key stands on more than one line, even if the lines are equal (RFC 9110, section 5.3).
        case repeated
    }
}

extension IdempotencyKey: CustomStringConvertible, CustomDebugStringConvertible {
    /// The length of the key; its text is left out.
    public var description: String { "IdempotencyKey(\(self.rawValue.utf8.count) characters)" }

    /// The same as ``description``.
    public var debugDescription: String { self.description }
}

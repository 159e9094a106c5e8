public import HTTPTypes

/// Where the key of a request comes from.
///
/// Whatever the source, a key is 1 to 255 characters of printable ASCII; see ``IdempotencyKey``.
public struct KeySource: Hashable, Sendable {
    enum Origin: Hashable, Sendable {
        case idempotencyKey
        case header(HTTPField.Name)
        case body(JSONPointer)
    }

    let origin: Origin

    /// The header `Idempotency-Key`: a structured-field string, or bare; see <doc:Problems>.
    public static let idempotencyKey = KeySource(origin: .idempotencyKey)

    /// Another header, such as `X-GitHub-Delivery`.
    ///
    /// Its value is the key as it stands, without a form of its own. A request with more than one such line is refused.
    ///
    /// - Parameter name: The name of the header.
    /// - Returns: The source.
    public static func header(_ name: HTTPField.Name) -> KeySource {
        KeySource(origin: .header(name))
    }

    /// A value in the JSON body of a request, such as `/idempotency_key`.
    ///
    /// The value is a string, or an integer, whose literal is the key. A request has no key if its body is no JSON by
    /// its media type, or has no value there. Any other value, a body that cannot be read, and one in which a name occurs
    /// twice in an object, are an invalid key: which of two values another parser would take cannot be known.
    ///
    /// The body has to be read before the key is known, so that its limit also holds for requests without one.
    ///
    /// - Parameter pointer: The place of the value.
    /// - Returns: The source.
    public static func body(_ pointer: JSONPointer) -> KeySource {
        KeySource(origin: .body(pointer))
    }
}

/// What the head of a request says about its key.
enum KeyInHead: Sendable {
    case none
    case key(IdempotencyKey)
    case inBody(JSONPointer)
}

extension KeySource {
    /// Looks for the key, as far as the head of a request tells.
    ///
    /// - Throws: The rule that the key breaks.
    func key(in fields: HTTPFields, maximumLength: Int) throws(IdempotencyKey.ValidationError) -> KeyInHead {
        switch self.origin {
        case .idempotencyKey:
            guard let key = try KeyHeader.key(in: fields, maximumLength: maximumLength) else { return .none }
            return .key(key)
        case .header(let name):
            let lines = fields[values: name]
            guard let line = lines.first else { return .none }
            guard lines.count == 1 else { throw .repeated }
            return .key(try IdempotencyKey(line, maximumLength: maximumLength))
        case .body(let pointer):
            let isJSON = fields[.contentType].flatMap(MediaType.init)?.isJSON ?? false
            return isJSON ? .inBody(pointer) : .none
        }
    }
}

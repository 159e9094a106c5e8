public import HTTPTypes

/// Where the key of a request comes from.
///
/// Whatever the source, a key is 1 to 255 characters of printable ASCII; see <doc:Problems>.
///
/// A key in a body is known only after the body has been read, so that its limit also holds for requests without a key. A
/// body whose media type cannot have a key in that place, such as a form where ``json(_:)`` looks for one, is an invalid
/// key where a key is required. Where none is required, the request passes unguarded, and the log says so once.
public struct KeySource: Sendable {
    enum Origin: Sendable {
        case idempotencyKey
        case headers([HTTPField.Name])
        case query(String)
        case json(JSONPointer)
        case form(String)
        case custom(@Sendable (HTTPRequest, [UInt8]) throws -> String?)
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
        KeySource(origin: .headers([name]))
    }

    /// Several headers, whose values are the key together, such as the number of a message and that of its sender.
    ///
    /// A request that lacks one or more of them has no key.
    ///
    /// - Parameter names: The names of the headers, in any order.
    /// - Returns: The source.
    public static func headers(_ names: [HTTPField.Name]) -> KeySource {
        KeySource(origin: .headers(HTTPField.Name.canonicalOrder(names)))
    }

    /// An item of the query, such as `request_id` in `/charges?request_id=17`.
    ///
    /// The query is read as a URL-encoded form. A request with more than one such item is refused.
    ///
    /// - Parameter name: The name of the item, decoded.
    /// - Returns: The source.
    public static func queryItem(_ name: String) -> KeySource {
        KeySource(origin: .query(name))
    }

    /// A value in the JSON body of a request, such as `/idempotency_key`.
    ///
    /// The value is a string, or an integer, whose literal is the key. A request has no key if its body has no value
    /// there. Any other value, a body that cannot be read, and one in which a name occurs twice in an object, are an
    /// invalid key: which of two values another parser would take cannot be known.
    ///
    /// - Parameter pointer: The place of the value.
    /// - Returns: The source.
    public static func json(_ pointer: JSONPointer) -> KeySource {
        KeySource(origin: .json(pointer))
    }

    /// A field of a form, be it `application/x-www-form-urlencoded` or `multipart/form-data`.
    ///
    /// A request with more than one such field is refused, and so is one whose body cannot be read.
    ///
    /// - Parameter name: The name of the field, decoded.
    /// - Returns: The source.
    public static func formField(_ name: String) -> KeySource {
        KeySource(origin: .form(name))
    }

    /// Whatever a function finds in the head and the body of a request.
    ///
    /// ```swift
    /// policy.keySource = .custom { head, _ in head.path.map { String($0.prefix { $0 != "?" }) } }
    /// ```
    ///
    /// - Parameter find: Returns the key, or `nil` if the request has none. What it throws makes the key invalid, with the
    ///   reason `malformed`. It must find the same key in a retry.
    /// - Returns: The source.
    public static func custom(
        _ find: @escaping @Sendable (HTTPRequest, [UInt8]) throws -> String?
    ) -> KeySource {
        KeySource(origin: .custom(find))
    }
}

/// What the head of a request says about its key.
enum KeyInHead: Sendable {
    /// There is none.
    case none
    case key(IdempotencyKey)
    /// If there is one, ``FingerprintBuilder`` finds it in the body.
    case inBody
    /// There can be none: bodies of this media type have no such place. An invalid key where one is required; else the
    /// request passes, and the log says so once.
    case unsupportedMediaType
}

extension KeySource {
    /// Whether a request can have a key, as far as the names of its fields tell.
    func mayHaveKey(hasField: (HTTPField.Name) -> Bool) -> Bool {
        switch self.origin {
        case .idempotencyKey: hasField(.idempotencyKey)
        case .headers(let names): names.allSatisfy(hasField)
        case .query, .json, .form, .custom: true
        }
    }

    /// Looks for the key, as far as the head of a request tells.
    ///
    /// - Throws: The rule that the key breaks.
    func key(in head: HTTPRequest, maximumLength: Int) throws(IdempotencyKey.ValidationError) -> KeyInHead {
        switch self.origin {
        case .idempotencyKey:
            guard let key = try KeyHeader.key(in: head.headerFields, maximumLength: maximumLength) else { return .none }
            return .key(key)
        case .headers(let names):
            guard names.allSatisfy(head.headerFields.contains) else { return .none }
            let keys = try Self.keys(in: head.headerFields, of: names, maximumLength: maximumLength)
            guard let key = keys.first else { return .none }
            return .key(keys.count == 1 ? key : try IdempotencyKey(joining: keys, maximumLength: maximumLength))
        case .query(let name):
            guard let query = head.query, let text = try FormFields.onlyValue(of: name, in: query[...]) else {
                return .none
            }
            return .key(try IdempotencyKey(text, maximumLength: maximumLength))
        case .json: return Self.keyInBody(of: head) { $0.isJSON }
        case .form: return Self.keyInBody(of: head) { $0.isURLEncodedForm || $0.isMultipartForm }
        case .custom: return .inBody
        }
    }

    private static func keys(
        in fields: HTTPFields,
        of names: [HTTPField.Name],
        maximumLength: Int
    ) throws(IdempotencyKey.ValidationError) -> [IdempotencyKey] {
        var keys: [IdempotencyKey] = []
        for name in names {
            guard let line = try fields.onlyLine(of: name) else { continue }
            keys.append(try IdempotencyKey(line, maximumLength: maximumLength))
        }
        return keys
    }

    private static func keyInBody(of head: HTTPRequest, if isSupported: (MediaType) -> Bool) -> KeyInHead {
        if head.headerFields[.contentType].flatMap(MediaType.init).map(isSupported) ?? false { return .inBody }
        return head.mayHaveBody ? .unsupportedMediaType : .none
    }

    /// The value of `Idempotency-Key` to send back, as it came; `nil` if the key comes from elsewhere.
    func echo(of head: HTTPRequest) -> String? {
        guard case .idempotencyKey = self.origin else { return nil }
        return head.headerFields.line(of: .idempotencyKey)
    }
}

extension HTTPRequest {
    /// The bytes after the first question mark; `nil` if there is none.
    fileprivate var query: [UInt8]? {
        guard let path, let mark = path.utf8.firstIndex(of: UInt8(ascii: "?")) else { return nil }
        return Array(path.utf8[mark...].dropFirst())
    }

    /// Whether a header announces a body, or what a body is.
    fileprivate var mayHaveBody: Bool {
        let fields = self.headerFields
        if let length = fields[.contentLength] { return length != "0" }
        return fields.contains(.transferEncoding) || fields.contains(.contentType)
    }
}

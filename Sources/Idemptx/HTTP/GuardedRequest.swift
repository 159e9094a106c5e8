import HTTPTypes

/// A request that may not run more than once, whose body is being read.
public struct GuardedRequest: Sendable {
    /// How the end of a body can be told from the end of the connection.
    private enum Framing {
        /// The number of bytes is announced, or there are none.
        case length(Int)
        /// It has an end of its own (RFC 9112, section 7.1), or was decoded from a body whose end has been seen.
        case delimited
        /// HTTP/2 and later: a server may not tell the end of the stream from the end of the connection.
        case unknown
    }

    /// Where the key is.
    private enum Key {
        case known(IdempotencyKey)
        case inBody(KeyInBody)
    }

    let policy: IdempotencyPolicy
    /// The value of `Idempotency-Key` as it was sent; `nil` if the key comes from elsewhere.
    let keyHeader: String?
    private(set) var fingerprint: FingerprintBuilder
    private var keyPlace: Key
    private let framing: Framing
    private var size = 0

    init(head: HTTPRequest, key: IdempotencyKey, policy: IdempotencyPolicy) {
        self.init(head: head, key: .known(key), policy: policy)
    }

    init(head: HTTPRequest, keyAt pointer: JSONPointer, policy: IdempotencyPolicy) {
        self.init(head: head, key: .inBody(KeyInBody(at: pointer)), policy: policy)
    }

    private init(head: HTTPRequest, key: Key, policy: IdempotencyPolicy) {
        self.policy = policy
        self.keyHeader = policy.keySource == .idempotencyKey ? head.headerFields[.idempotencyKey] : nil
        self.fingerprint = FingerprintBuilder(head: head, recipe: policy.fingerprint)
        self.keyPlace = key
        self.framing = Self.framing(of: head.headerFields)
    }

    private static func framing(of fields: HTTPFields) -> Framing {
        // A middleware that decodes bodies changes their lengths, and not the header.
        if fields.contains(.transferEncoding) || fields.contains(.contentEncoding) { return .delimited }
        return fields[.contentLength].flatMap { Int($0) }.map { .length($0) } ?? .unknown
    }

    /// The largest body to read, in bytes.
    ///
    /// If it is larger, ask ``Idempotency/refuseBody(of:)``.
    public var maxBodySize: Int { self.policy.maxRequestBody }

    /// Whether a failure of the adapter, such as not knowing the ``Scope``, must let the request pass all the same.
    public var isOnlyObserved: Bool { self.policy.mode == .observe }

    /// Adds the next bytes of the body.
    ///
    /// - Parameter chunk: Any number of bytes.
    public mutating func update(body chunk: [UInt8]) {
        self.size += chunk.count
        self.fingerprint.update(chunk)
        guard case .inBody(var key) = self.keyPlace else { return }
        // Keeps the buffer unique, so that it grows in place.
        self.keyPlace = .inBody(KeyInBody(at: key.pointer))
        key.update(chunk)
        self.keyPlace = .inBody(key)
    }

    /// The key, once all of the body has come.
    ///
    /// - Returns: `nil` if there is none.
    /// - Throws: The rule that the key breaks.
    func key() throws(IdempotencyKey.ValidationError) -> IdempotencyKey? {
        switch self.keyPlace {
        case .known(let key): key
        case .inBody(let key): try key.key(maximumLength: self.policy.maxKeyLength)
        }
    }

    /// Why the bytes that have come cannot be taken for the whole body: half a request must not be executed.
    var bodyProblem: IdempotencyProblem? {
        switch self.framing {
        case .length(let length) where self.size < length: IdempotencyProblem(.bodyIncomplete)
        case .unknown where self.size > 0: IdempotencyProblem(.lengthRequired)
        case .length, .delimited, .unknown: nil
        }
    }
}

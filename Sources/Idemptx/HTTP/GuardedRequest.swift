import HTTPTypes

/// A request with a valid key, whose body is being read.
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

    let policy: IdempotencyPolicy
    let key: IdempotencyKey
    /// The header value as it was sent.
    let keyHeader: String
    private(set) var fingerprint: FingerprintBuilder
    private let framing: Framing
    private var size = 0

    init(head: HTTPRequest, key: IdempotencyKey, policy: IdempotencyPolicy) {
        self.policy = policy
        self.key = key
        self.keyHeader = head.headerFields[.idempotencyKey] ?? ""
        self.fingerprint = FingerprintBuilder(head: head, recipe: policy.fingerprint)
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

    /// Adds the next bytes of the body to the fingerprint.
    ///
    /// - Parameter chunk: Any number of bytes.
    public mutating func update(body chunk: [UInt8]) {
        self.size += chunk.count
        self.fingerprint.update(chunk)
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

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

    let policy: IdempotencyPolicy
    /// The value of `Idempotency-Key` as it was sent; `nil` if the key comes from elsewhere.
    let keyHeader: String?
    /// `nil` if the key is in the body.
    private let keyInHead: IdempotencyKey?
    private var fingerprint: FingerprintBuilder
    private let framing: Framing
    private var size = 0

    /// - Parameters:
    ///   - head: The head of the request.
    ///   - key: Its key; `nil` if that is in the body.
    ///   - policy: The rules for this request.
    init(head: HTTPRequest, key: IdempotencyKey?, policy: IdempotencyPolicy) {
        self.policy = policy
        self.keyHeader = policy.keySource.echo(of: head)
        self.keyInHead = key
        self.fingerprint = FingerprintBuilder(
            head: head, recipe: policy.fingerprint, keySource: key == nil ? policy.keySource : nil)
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
    }

    /// Reads the request, once all of the body has come.
    ///
    /// - Returns: Its fingerprint, and its key: `nil` if there is none, or the rule that it breaks.
    func read() -> (
        fingerprint: Fingerprint, key: Result<IdempotencyKey?, IdempotencyKey.ValidationError>
    ) {
        let reading = self.fingerprint.finalize(maximumKeyLength: self.policy.maxKeyLength)
        return (reading.fingerprint, self.keyInHead.map { .success($0) } ?? reading.key)
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

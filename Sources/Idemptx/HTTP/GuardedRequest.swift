import HTTPTypes

/// A request with a valid key, whose body is being read.
public struct GuardedRequest: Sendable {
    let policy: IdempotencyPolicy
    let key: IdempotencyKey
    /// The header value as it was sent.
    let keyHeader: String
    var fingerprint: FingerprintBuilder

    init(head: HTTPRequest, key: IdempotencyKey, policy: IdempotencyPolicy) {
        self.policy = policy
        self.key = key
        self.keyHeader = head.headerFields[.idempotencyKey] ?? ""
        self.fingerprint = FingerprintBuilder(head: head, recipe: policy.fingerprint)
    }

    /// The largest body to read, in bytes.
    ///
    /// If it is larger, ask ``Idempotency/refuseBody(of:)``.
    public var maxBodySize: Int { self.policy.maxRequestBody }

    /// Adds the next bytes of the body to the fingerprint.
    ///
    /// - Parameter chunk: Any number of bytes.
    public mutating func update(body chunk: [UInt8]) {
        self.fingerprint.update(chunk)
    }
}

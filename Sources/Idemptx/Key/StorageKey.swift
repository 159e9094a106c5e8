/// The name of a record inside a store: a SHA-256 digest over namespace, scope and key.
///
/// The three parts are length-prefixed, so that no two of them can be shifted into each other. A store sees neither the
/// client's key nor the caller's identity, every key has the same size, and nothing in a key can be an injection
/// (draft-ietf-httpapi-idempotency-key-header-07, section 5).
public struct StorageKey: Hashable, Sendable {
    /// The size of a storage key, in bytes.
    package static let byteCount = Digest32.byteCount

    private let digest: Digest32

    /// Derives the name of the record that belongs to `key`.
    ///
    /// - Parameters:
    ///   - namespace: Separates operations that share a store, such as two services. Empty by default.
    ///   - scope: Whose key it is.
    ///   - key: The client's key.
    /// - Throws: ``IdempotencyProblem`` if no request can have this key.
    public init(namespace: String = "", scope: Scope, key: String) throws(IdempotencyProblem) {
        do {
            self.init(namespace: namespace, scope: scope, key: try IdempotencyKey(key, maximumLength: .max))
        } catch {
            throw IdempotencyProblem(.keyInvalid, reason: error.rawValue)
        }
    }

    /// Derives the name of the record that belongs to a key that has been checked.
    package init(namespace: String = "", scope: Scope, key: IdempotencyKey) {
        var message: [UInt8] = []
        message.reserveCapacity(256)
        message.append(lengthPrefixed: namespace.utf8)
        scope.append(to: &message)
        message.append(lengthPrefixed: key.canonicalValue.utf8)
        self.digest = Digest32(hashing: message)
    }

    /// Creates a random key, which no client can have.
    package init() {
        self.digest = Digest32(hashing: OwnerToken().bytes)
    }

    /// Reads a storage key back from ``bytes``.
    ///
    /// - Parameter bytes: Exactly thirty-two bytes.
    package init?(bytes: some Collection<UInt8>) {
        guard let digest = Digest32(bytes) else { return nil }
        self.digest = digest
    }

    /// The thirty-two bytes of the key.
    package var bytes: [UInt8] { self.digest.bytes }

    /// A key for a service that the operation calls; see ``IdempotencyContext/downstreamKey(_:)``.
    ///
    /// - Parameter service: The name of the service.
    /// - Returns: A UUID whose bits are a digest (RFC 9562, section 5.8).
    package func downstreamKey(for service: String) -> String {
        var message: [UInt8] = []
        message.append(lengthPrefixed: "downstream".utf8)
        message.append(contentsOf: self.digest.bytes)
        message.append(contentsOf: service.utf8)
        var uuid = Array(Digest32(hashing: message).bytes.prefix(16))
        uuid[6] = uuid[6] & 0x0F | 0x80
        uuid[8] = uuid[8] & 0x3F | 0x80
        return [0..<4, 4..<6, 6..<8, 8..<10, 10..<16].map { Array(uuid[$0]).hexadecimal }.joined(separator: "-")
    }
}

extension StorageKey: LosslessStringConvertible {
    /// Reads a storage key back from its ``description``.
    ///
    /// - Parameter description: Sixty-four hexadecimal digits.
    public init?(_ description: String) {
        guard let bytes = [UInt8](hexadecimal: description) else { return nil }
        self.init(bytes: bytes)
    }

    /// The key as sixty-four lower-case hexadecimal digits, such as for the name of a row.
    public var description: String { self.digest.hexadecimal }
}

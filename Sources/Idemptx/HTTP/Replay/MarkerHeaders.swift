package import HTTPTypes

extension HTTPField.Name {
    /// `Idempotency-Key`: the client's key; echoed on every response to a guarded request that had a valid one in it.
    package static let idempotencyKey = HTTPField.Name.constant("Idempotency-Key")

    /// `X-Idempotency-Signature`: the fingerprint of the request, unless its body was too large.
    package static let idempotencySignature = HTTPField.Name.constant("X-Idempotency-Signature")

    /// `X-Idempotency-Status`: how the response came about; see ``IdempotencyStatus``.
    package static let idempotencyStatus = HTTPField.Name.constant("X-Idempotency-Status")

    /// `Idempotent-Replayed`: `true` on a replay, absent otherwise.
    package static let idempotentReplayed = HTTPField.Name.constant("Idempotent-Replayed")

    private static func constant(_ name: String) -> HTTPField.Name {
        guard let name = HTTPField.Name(name) else { preconditionFailure("\(name) is no field name") }
        return name
    }
}

/// The values of `X-Idempotency-Status`.
public enum IdempotencyStatus: String, Sendable {
    /// The operation ran for this request. Its outcome is stored, unless it was one that frees the key or leaves the outcome
    /// unknown; a streamed response is cut if it cannot be.
    case new
    /// The response is that of an earlier request.
    case hit
    /// The operation ran for this request, but its outcome could not be stored in time. Storing goes on in the
    /// background; if the process ends before, a retry may run it again.
    case unstored
}

/// The header fields that tell a client what happened to its key.
struct MarkerHeaders: Sendable {
    /// The client's `Idempotency-Key` as it was sent; `nil` if the key came from elsewhere.
    let key: String?
    /// `nil` if the body was too large for one.
    var fingerprint: Fingerprint?

    /// Marks a response of the operation.
    func mark(_ fields: inout HTTPFields, as status: IdempotencyStatus) {
        self.mark(&fields)
        fields.replace(.idempotencyStatus, with: status.rawValue)
        fields.replace(.idempotentReplayed, with: status == .hit ? "true" : nil)
    }

    func marked(_ parts: ResponseParts, as status: IdempotencyStatus) -> ResponseParts {
        var parts = parts
        self.mark(&parts.head.headerFields, as: status)
        return parts
    }

    /// Marks a response of the layer itself.
    func mark(_ fields: inout HTTPFields) {
        fields.replace(.idempotencyKey, with: self.key)
        fields.replace(.idempotencySignature, with: self.fingerprint?.hexadecimal)
    }
}

extension HTTPFields {
    /// Sets a field that is hardly ever there before; the subscript looks for room in the middle.
    fileprivate mutating func replace(_ name: HTTPField.Name, with value: String?) {
        if self.contains(name) { self[name] = nil }
        if let value { self.append(HTTPField(name: name, value: value)) }
    }
}

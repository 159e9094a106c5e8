public import HTTPTypes

extension HTTPField.Name {
    /// `X-Idempotency-Attempt`: tells the upstream which attempt a guarded request is; from 2 on, an earlier one may have run.
    public static let idempotencyAttempt = HTTPField.Name.constant("X-Idempotency-Attempt")

    /// `X-Idempotency-Disposition`: what becomes of the key, by the upstream's own word; it never reaches the client.
    public static let idempotencyDisposition = HTTPField.Name.constant("X-Idempotency-Disposition")

    private static func constant(_ name: String) -> HTTPField.Name {
        guard let name = HTTPField.Name(name) else { preconditionFailure("\(name) is no field name") }
        return name
    }
}

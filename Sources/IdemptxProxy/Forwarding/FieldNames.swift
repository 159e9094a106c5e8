public import HTTPTypes

extension HTTPField.Name {
    /// `X-Idempotency-Attempt`: tells the upstream which attempt a guarded request is: 1, then one more with each takeover.
    public static let idempotencyAttempt = HTTPField.Name.constant("X-Idempotency-Attempt")

    /// `X-Idempotency-Disposition`: what becomes of the key, by the upstream's own word; it never reaches the client.
    public static let idempotencyDisposition = HTTPField.Name.constant("X-Idempotency-Disposition")

    static let forwarded = HTTPField.Name.constant("Forwarded")
    static let forwardedFor = HTTPField.Name.constant("X-Forwarded-For")
    static let forwardedHost = HTTPField.Name.constant("X-Forwarded-Host")
    static let forwardedProto = HTTPField.Name.constant("X-Forwarded-Proto")
    /// Among the fields, where HTTP/1.1 has it, and not only as the authority of the request.
    static let hostField = HTTPField.Name.constant("Host")

    /// What only the proxy may say to the upstream.
    static let ownedByProxy = [
        Self.via, .forwarded, .forwardedFor, .forwardedHost, .forwardedProto, .idempotencyAttempt,
    ]

    /// Whether it is another spelling of a field that only the proxy may set: to gateways such as those of CGI and WSGI,
    /// `X_Idempotency_Attempt` is `X-Idempotency-Attempt`.
    var imitatesProxy: Bool {
        self.rawName.contains("_")
            && HTTPField.Name(self.rawName.replacing("_", with: "-")).map(Self.ownedByProxy.contains) ?? false
    }

    private static func constant(_ name: String) -> HTTPField.Name {
        guard let name = HTTPField.Name(name) else { preconditionFailure("\(name) is no field name") }
        return name
    }
}

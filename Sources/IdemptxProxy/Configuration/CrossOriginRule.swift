import HTTPProxy
import HTTPTypes
import Idemptx

/// Which origins' pages may read responses: the CORS protocol of the Fetch standard, spoken in the upstream's place.
struct CrossOriginRule: Sendable {
    /// What only the proxy says, in lower case.
    private static let fields = [
        "access-control-allow-credentials", "access-control-allow-headers", "access-control-allow-methods",
        "access-control-allow-origin", "access-control-allow-private-network", "access-control-expose-headers",
        "access-control-max-age",
    ]

    /// The same, as the rest of the Swift world has it.
    static let fieldNames = Set(Self.fields.compactMap { HTTPField.Name($0) })

    /// The fields that pages may read: all, and those by name that are meant also where the star does not count, which is so
    /// with credentials.
    private static let exposed =
        (["*"]
        + [
            HTTPField.Name.idempotencyKey, .idempotentReplayed, .idempotencyStatus, .idempotencySignature, .retryAfter,
            .location,
        ].map(\.rawName)).joined(separator: ", ")

    private static let methods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

    private let origins: Set<String>
    private let allowsCredentials: Bool

    /// - Returns: `nil` if the upstream speaks for itself.
    /// - Throws: ``InvalidProxyConfiguration`` for an origin that no browser would send.
    init?(_ configuration: ProxyConfiguration) throws(InvalidProxyConfiguration) {
        guard !configuration.corsOrigins.isEmpty else { return nil }
        var origins: Set<String> = []
        for origin in configuration.corsOrigins { origins.insert(try Self.normal(origin)) }
        self.origins = origins
        self.allowsCredentials = configuration.corsAllowsCredentials
    }

    /// An origin as browsers write it: in lower case, and without the port that goes without saying.
    private static func normal(_ origin: String) throws(InvalidProxyConfiguration) -> String {
        let text = origin.lowercased()
        let port = ["http://": ":80", "https://": ":443"]
        for (scheme, usualPort) in port where text.hasPrefix(scheme) {
            let host = text.dropFirst(scheme.count)
            let isProper = !host.isEmpty && host.utf8.allSatisfy { (0x21...0x7E).contains($0) }
            guard isProper, !host.contains(where: { "/?#@,*\\".contains($0) }) else { break }
            return scheme + (host.hasSuffix(usualPort) ? host.dropLast(usualPort.count) : host)
        }
        throw InvalidProxyConfiguration("\(origin) is no origin: https://shop.example, or http://localhost:3000.")
    }

    // MARK: Requests

    /// What changes of the response to a request, whoever makes that.
    func changes(to method: String, field: (String) -> String?) -> FieldChanges {
        var changes = FieldChanges(removed: Self.fields, added: [("Vary", "Origin")])
        guard let origin = field("Origin"), self.origins.contains(origin) else { return changes }
        changes.added.append(("Access-Control-Allow-Origin", origin))
        if self.allowsCredentials { changes.added.append(("Access-Control-Allow-Credentials", "true")) }
        if self.isPreflight(method, field: field) {
            changes.added += Self.permission(for: field("Access-Control-Request-Headers"))
        } else {
            changes.added.append(("Access-Control-Expose-Headers", Self.exposed))
        }
        return changes
    }

    /// Whether a browser asks on behalf of one of the origins what its page may send.
    func isPreflight(_ method: String, field: (String) -> String?) -> Bool {
        method == "OPTIONS" && field("Access-Control-Request-Method") != nil
            && field("Origin").map { self.origins.contains($0) } ?? false
    }

    /// What a page may send: whatever it asks for, since it is for the upstream to judge requests.
    private static func permission(for requestedFields: String?) -> [(name: String, value: String)] {
        var permission = [
            (name: "Access-Control-Allow-Methods", value: Self.methods),
            (name: "Access-Control-Max-Age", value: "600"),
            (name: "Vary", value: "Access-Control-Request-Method, Access-Control-Request-Headers"),
        ]
        if let requestedFields, !requestedFields.isEmpty {
            permission.append((name: "Access-Control-Allow-Headers", value: requestedFields))
        }
        return permission
    }
}

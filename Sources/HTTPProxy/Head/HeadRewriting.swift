/// What the proxy changes of heads that pass.
package struct HeadRewriting: Sendable {
    /// What the upstream gets as `Host`.
    package enum Host: Sendable {
        /// What the client sent.
        case preserved
        /// The upstream's own name.
        case upstream
    }

    /// What happens to what a client says about where its request came from.
    package enum Forwarded: Sendable {
        case replaced
        case extended
    }

    package var host = Host.preserved
    package var forwarded = Forwarded.replaced
    /// This proxy's name in `Via`, which tells it from any other, so that a loop is found.
    package var pseudonym: String
    /// The names of fields of requests that only the proxy may set, in lower case.
    package var ownedFields: [String] = []
    /// The names of fields of responses that never reach a client, in lower case.
    package var privateFields: [String] = []

    package init(pseudonym: String) {
        self.pseudonym = pseudonym
    }

    private static let own = [
        "via", "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
    ]

    /// Whether only the proxy may set a field, in whatever spelling: to gateways such as those of CGI and WSGI,
    /// `X_Forwarded_For` is `X-Forwarded-For`.
    func isOwned(_ name: String.UTF8View) -> Bool {
        let hasUnderscore = name.contains(UInt8(ascii: "_"))
        guard hasUnderscore || !self.ownedFields.isEmpty else { return false }
        let matches = { (owned: String) in
            owned.utf8.count == name.count
                && zip(owned.utf8, name).allSatisfy {
                    $0 == ($1 == UInt8(ascii: "_") ? UInt8(ascii: "-") : $1.lowercasedASCII)
                }
        }
        return self.ownedFields.contains(where: matches) || (hasUnderscore && Self.own.contains(where: matches))
    }
}

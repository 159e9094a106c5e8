/// The server behind the proxy.
///
/// It is spoken to in HTTP/1.1, whatever the client speaks.
public struct Upstream: Hashable, Sendable {
    /// Which certificates of an upstream are believed.
    public enum Trust: Hashable, Sendable {
        /// Those signed by an authority that the operating system trusts.
        case system
        /// Those signed by an authority of your own.
        ///
        /// - Parameter path: The file of its certificate, in PEM format.
        case authority(path: String)
        /// Any. Whoever can get between the proxy and its upstream can read and change everything.
        case insecure
    }

    /// Which certificates are believed, if the address starts with `https`.
    public var trust: Trust

    /// The address in the form of AsyncHTTPClient.
    let url: String
    /// The value of `Host` that the upstream has for itself.
    let authority: String

    /// Creates an upstream.
    ///
    /// - Parameters:
    ///   - address: `http://host:port`, `https://host:port`, or `unix:/path/of/socket`. The port can be left out. There is
    ///     no path to give: that of a request is never changed.
    ///   - trust: Which certificates are believed, if the address starts with `https`.
    /// - Throws: ``InvalidProxyConfiguration``.
    public init(_ address: String, trust: Trust = .system) throws(InvalidProxyConfiguration) {
        self.trust = trust
        if address.hasPrefix("unix:") {
            self.url = "http+unix://\(try Self.escaped(socket: address.dropFirst("unix:".count)))/"
            self.authority = "localhost"
            return
        }
        guard let scheme = ["http://", "https://"].first(where: { address.lowercased().hasPrefix($0) }) else {
            throw InvalidProxyConfiguration("The upstream must start with http://, https:// or unix:/.")
        }
        let authority = address.dropFirst(scheme.count)
        self.authority = try Self.checked(authority: authority.hasSuffix("/") ? authority.dropLast() : authority)
        self.url = scheme + self.authority + "/"
    }

    private static func escaped(socket path: Substring) throws(InvalidProxyConfiguration) -> String {
        guard path.hasPrefix("/") else {
            throw InvalidProxyConfiguration("The upstream's socket needs an absolute path: unix:/run/app.sock.")
        }
        return path.utf8.map { byte in
            let isPlain = Character(Unicode.Scalar(byte)).isLetter && byte < 0x80
            return isPlain ? String(Unicode.Scalar(byte)) : "%" + [byte].uppercaseHexadecimal
        }.joined()
    }

    /// A host name or address, and perhaps a port; nothing else that can stand in a URL.
    private static func checked(authority: Substring) throws(InvalidProxyConfiguration) -> String {
        let isBracketed = authority.hasPrefix("[")
        let end =
            isBracketed ? authority.firstIndex(of: "]").map(authority.index(after:)) : authority.firstIndex(of: ":")
        let host = authority[..<(end ?? authority.endIndex)]
        let rest = authority[host.endIndex...]
        let permitted = isBracketed ? "abcdefABCDEF0123456789.:[]" : Self.hostCharacters
        let digits = rest.dropFirst()
        let isPort = rest.first == ":" && digits.allSatisfy("0123456789".contains) && Int(digits) ?? 0 > 0
        let isProper = !host.isEmpty && host.allSatisfy(permitted.contains) && isBracketed == host.hasSuffix("]")
        guard isProper, rest.isEmpty || (isPort && Int(digits) ?? 0 <= 65_535) else {
            throw InvalidProxyConfiguration("The upstream must be a host and perhaps a port, without path or password.")
        }
        return String(authority)
    }

    private static let hostCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
}

extension Upstream: CustomStringConvertible {
    /// The address.
    public var description: String { self.url }
}

extension [UInt8] {
    fileprivate var uppercaseHexadecimal: String {
        self.map { ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true) }.joined()
    }
}

import HTTPProxy
import NIOSSL

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

    private enum Address: Hashable {
        case host(String, port: Int?, isSecure: Bool)
        case unixSocket(path: String)
    }

    private let address: Address
    /// In one form, however it was written.
    private let text: String

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
            let path = address.dropFirst("unix:".count)
            guard path.hasPrefix("/") else {
                throw InvalidProxyConfiguration("The upstream's socket needs an absolute path: unix:/run/app.sock.")
            }
            self.address = .unixSocket(path: String(path))
            self.text = address
            return
        }
        guard let scheme = ["http://", "https://"].first(where: { address.lowercased().hasPrefix($0) }) else {
            throw InvalidProxyConfiguration("The upstream must start with http://, https:// or unix:/.")
        }
        let authority = address.dropFirst(scheme.count)
        let bare = authority.hasSuffix("/") ? authority.dropLast() : authority
        let (host, port) = try Self.checked(authority: bare)
        self.text = "\(scheme)\(bare)/"
        self.address = .host(host, port: port, isSecure: scheme == "https://")
    }

    /// A host name or address, and perhaps a port; nothing else that can stand in a URL.
    private static func checked(
        authority: Substring
    ) throws(InvalidProxyConfiguration) -> (host: String, port: Int?) {
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
        return (String(host), Int(digits))
    }

    private static let hostCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
}

extension Upstream: CustomStringConvertible {
    /// The address.
    public var description: String { self.text }
}

extension Upstream {
    /// The address as the engine has it.
    ///
    /// - Throws: ``InvalidProxyConfiguration`` if the authority's certificate cannot be read.
    func engineAddress() throws(InvalidProxyConfiguration) -> ServerConfiguration.Upstream {
        switch self.address {
        case .unixSocket(let path): return .init(.unixSocket(path: path), authority: "localhost")
        case .host(let host, let port, let isSecure):
            let name = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
            return .init(
                .host(name, port: port ?? (isSecure ? 443 : 80)), authority: port.map { "\(host):\($0)" } ?? host,
                tls: isSecure ? try self.tlsContext() : nil)
        }
    }

    private func tlsContext() throws(InvalidProxyConfiguration) -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        switch self.trust {
        case .system: break
        case .authority(let path):
            guard let certificates = try? NIOSSLCertificate.fromPEMFile(path), !certificates.isEmpty else {
                throw InvalidProxyConfiguration("The authority's certificate \(path) cannot be read.")
            }
            configuration.trustRoots = .certificates(certificates)
        case .insecure: configuration.certificateVerification = .none
        }
        do {
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw InvalidProxyConfiguration("TLS cannot be spoken to the upstream: \(error).")
        }
    }
}

import Idemptx
import NIOCore

/// Where a request came from, as it is told to the upstream.
struct ForwardedElement: Hashable, Sendable {
    /// The address of the client; `nil` if it has none.
    let client: String?
    /// The `Host` that the client asked for.
    let host: String?
    let scheme: String

    init(client: SocketAddress?, host: String?, scheme: String) {
        self.client = client?.ipAddress.map { $0.hasPrefix("::ffff:") ? String($0.dropFirst("::ffff:".count)) : $0 }
        self.host = host
        self.scheme = scheme
    }

    /// The element of `Forwarded` (RFC 7239, section 4).
    var text: String {
        // An IPv6 address stands in brackets (section 6).
        let node = self.client.map { $0.contains(":") ? "[\($0)]" : $0 } ?? "unknown"
        var pairs = ["for=\(Self.quotedIfNeeded(node))"]
        if let host { pairs.append("host=\(Self.quotedIfNeeded(host))") }
        pairs.append("proto=\(self.scheme)")
        return pairs.joined(separator: ";")
    }

    /// A token as it is, anything else as a quoted string (RFC 9110, sections 5.6.2 and 5.6.4).
    private static func quotedIfNeeded(_ value: String) -> String {
        if !value.isEmpty, value.utf8.allSatisfy(\.isTokenCharacter) { return value }
        let escaped = value.map { "\"\\".contains($0) ? "\\\($0)" : String($0) }.joined()
        return "\"\(escaped)\""
    }
}

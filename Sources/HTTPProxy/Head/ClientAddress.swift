import NIOCore

/// Where a request comes from, as the upstream is told.
package final class ClientAddress {
    /// The address; `nil` if there is none, such as over a Unix socket.
    package let text: String?
    package let isSecure: Bool
    /// The last fields that were made; a client nearly always asks for one host.
    private var last: (host: String?, fields: String)?

    var scheme: String { self.isSecure ? "https" : "http" }

    init(_ address: SocketAddress?, isSecure: Bool) {
        let text = address?.ipAddress
        self.text = text.map { $0.hasPrefix("::ffff:") ? String($0.dropFirst("::ffff:".count)) : $0 }
        self.isSecure = isSecure
    }

    /// The lines that tell the upstream where a request came from.
    func fields(forHost host: String?) -> String {
        if let last, last.host == host { return last.fields }
        var fields = ""
        if let text { fields += "X-Forwarded-For: \(text)\r\n" }
        if let host { fields += "X-Forwarded-Host: \(host)\r\n" }
        fields += "X-Forwarded-Proto: \(self.scheme)\r\nForwarded: \(self.element(forHost: host))\r\n"
        self.last = (host, fields)
        return fields
    }

    /// The element of `Forwarded` (RFC 7239, section 4).
    func element(forHost host: String?) -> String {
        // An IPv6 address stands in brackets (section 6).
        let node = self.text.map { $0.contains(":") ? "[\($0)]" : $0 } ?? "unknown"
        let host = host.map { ";host=\(Self.quotedIfNeeded($0))" } ?? ""
        return "for=\(Self.quotedIfNeeded(node))\(host);proto=\(self.scheme)"
    }

    /// A token as it is, anything else as a quoted string (RFC 9110, sections 5.6.2 and 5.6.4).
    private static func quotedIfNeeded(_ value: String) -> String {
        if !value.isEmpty, value.utf8.allSatisfy(\.isTokenCharacter) { return value }
        return "\"\(value.unicodeScalars.map { "\"\\".unicodeScalars.contains($0) ? "\\\($0)" : "\($0)" }.joined())\""
    }
}

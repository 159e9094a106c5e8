import HTTPTypes
import Idemptx

/// The fields that belong to one connection, and not to the message (RFC 9110, section 7.6.1).
enum HopByHop {
    private static let names: Set<String> = [
        "connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade",
    ]

    /// What is left of some fields when they go on to the next connection: neither the ones that never do, nor those that
    /// `Connection` names.
    static func removed(from fields: HTTPFields) -> [HTTPField] {
        let named = fields[values: .connection].flatMap { $0.split(separator: ",") }
            .map { String($0).withoutOptionalWhitespace.lowercased() }
        let dropped = self.names.union(named)
        return fields.filter { !dropped.contains($0.name.canonicalName) }
    }
}

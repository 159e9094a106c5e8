/// The reply of a cluster's server that a command was not executed there and then.
enum ClusterRedirect: Hashable {
    /// The slot belongs to another server for good.
    case moved(HashSlot, NodeAddress)
    /// The slot is on its way, and this key has gone ahead.
    case ask(NodeAddress)
    /// The slot is on its way, and some of the keys have gone ahead.
    case tryAgain
    /// The slot has no server at the moment, or this one has just lost it.
    case down

    /// Understands what the server at `address` replied; `nil` if it is any other error.
    init?(_ error: ServerError, from address: NodeAddress) {
        switch error.code {
        case "MOVED":
            guard let (slot, target) = Self.parse(error.message, address) else { return nil }
            self = .moved(slot, target)
        case "ASK":
            guard let (_, target) = Self.parse(error.message, address) else { return nil }
            self = .ask(target)
        case "TRYAGAIN": self = .tryAgain
        case "CLUSTERDOWN", "READONLY": self = .down
        default: return nil
        }
    }

    /// Takes `3999 127.0.0.1:6381` apart.
    private static func parse(_ message: String, _ asked: NodeAddress) -> (HashSlot, NodeAddress)? {
        let parts = message.split(separator: " ")
        guard parts.count >= 2, let slot = Int(parts[0]).flatMap({ HashSlot(number: $0) }),
            let colon = parts[1].lastIndex(of: ":"), let port = Int(parts[1][parts[1].index(after: colon)...]),
            let address = asked.sibling(host: String(parts[1][..<colon]), port: port)
        else { return nil }
        return (slot, address)
    }
}

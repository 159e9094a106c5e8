/// What comes on a connection for subscriptions: pushes, or in RESP2 arrays that look the same.
enum SubscriptionMessage: Hashable {
    case published(SubscriptionChannel)
    case subscribed(SubscriptionChannel)
    case unsubscribed(SubscriptionChannel)
    case pong
    case refused(ServerError)

    /// - Returns: `nil` if it is nothing that belongs on such a connection.
    init?(_ value: RESPValue) {
        switch value {
        case .error(let error): self = .refused(error)
        case .simpleString: self = .pong
        case .push(let elements), .array(let elements): self.init(elements)
        default: return nil
        }
    }

    private init?(_ elements: [RESPValue]) {
        guard elements.count >= 2, let kind = elements[0].string, let name = elements[1].string else { return nil }
        let channel = SubscriptionChannel(name: name, isSharded: kind.hasPrefix("s") && kind != "subscribe")
        switch kind {
        case "message", "smessage": self = .published(channel)
        case "subscribe", "ssubscribe": self = .subscribed(channel)
        case "unsubscribe", "sunsubscribe": self = .unsubscribed(channel)
        case "pong": self = .pong
        default: return nil
        }
    }
}

/// The connection that a channel's messages come by, and in which of its two forms the channel is meant.
struct SubscriptionRoute: Equatable {
    let connection: SubscriptionConnection
    let isSharded: Bool

    static func == (one: SubscriptionRoute, other: SubscriptionRoute) -> Bool {
        one.connection === other.connection && one.isSharded == other.isSharded
    }
}

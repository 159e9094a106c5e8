/// The connection that a channel's messages come by, and in which of its two forms the channel is meant.
struct SubscriptionRoute: Equatable {
    let link: SubscriptionLink
    let isSharded: Bool

    static func == (one: SubscriptionRoute, other: SubscriptionRoute) -> Bool {
        one.link === other.link && one.isSharded == other.isSharded
    }
}

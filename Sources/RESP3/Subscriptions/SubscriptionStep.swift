/// What a ``SubscriptionConnection`` has to do after an event.
struct SubscriptionStep {
    /// What the subscribers are to be told.
    var events: [SubscriptionEvent] = []
    /// Whether the connection is to be closed, before anything else is done.
    var closesConnection = false
    var next = NextStep.nothing
}

/// What happens to subscriptions.
enum SubscriptionEvent: Hashable {
    /// From now on, every message in the channel comes.
    case subscribed(SubscriptionChannel)
    /// There is a message.
    case published(SubscriptionChannel)
    /// The server does not allow the channel, or not here.
    case refused(SubscriptionChannel, ServerError)
    /// The server has ended the subscription by itself.
    case dislodged(SubscriptionChannel)
    /// The connection is lost, and with it all subscriptions for a while.
    case interrupted
    /// A connection was not to be had.
    case unreachable
}

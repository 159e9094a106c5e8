/// A channel as a server knows it: those of a shard are apart from those of all.
struct SubscriptionChannel: Hashable {
    let name: String
    /// Whether only the servers of the channel's slot know of it.
    let isSharded: Bool

    var subscribe: RedisCommand { [self.isSharded ? "SSUBSCRIBE" : "SUBSCRIBE", RedisArgument(self.name)] }
    var unsubscribe: RedisCommand { [self.isSharded ? "SUNSUBSCRIBE" : "UNSUBSCRIBE", RedisArgument(self.name)] }
}

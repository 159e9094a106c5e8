/// Who knows where the server is, each time anew.
protocol AddressSource: Sendable {
    func address() async throws(RedisError) -> NodeAddress
}

/// A server that stays where it is.
struct FixedAddress: AddressSource {
    let node: NodeAddress

    func address() -> NodeAddress { self.node }
}

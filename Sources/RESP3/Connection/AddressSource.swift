/// Finds out where the server is, for each attempt to connect.
protocol AddressSource: Sendable {
    func address() async throws(RedisError) -> NodeAddress
}

/// A server at a fixed address.
struct FixedAddress: AddressSource {
    let node: NodeAddress

    func address() -> NodeAddress { self.node }
}

/// Which server of a cluster has which slots.
struct SlotMap: Hashable {
    /// By slot, the index of its primary in ``primaries``; -1 if it has none.
    private var owners = [Int](repeating: -1, count: HashSlot.count)
    private(set) var primaries: [NodeAddress] = []
    /// Whether the servers have channels of their own for each slot.
    let hasShardedChannels: Bool

    /// Reads the replies of the server at `address` to ``question``; `nil` if there are no slots in them.
    init?(_ replies: [RESPValue], from address: NodeAddress) {
        guard replies.count == Self.question.count, let ranges = replies[0].elements else { return nil }
        self.hasShardedChannels = replies[1].elements?.first?.elements != nil
        for range in ranges {
            guard let parts = range.elements, parts.count >= 3,
                let first = parts[0].integer, let last = parts[1].integer,
                0 <= first, first <= last, last < HashSlot.count,
                let owner = Self.address(parts[2], from: address)
            else { continue }
            let index = self.index(of: owner)
            for slot in first...last { self.owners[slot] = index }
        }
        if self.primaries.isEmpty { return nil }
    }

    static let question: [RedisCommand] = [["CLUSTER", "SLOTS"], ["COMMAND", "INFO", "SPUBLISH"]]

    private static func address(_ node: RESPValue, from asked: NodeAddress) -> NodeAddress? {
        guard let parts = node.elements, parts.count >= 2, let port = parts[1].integer else { return nil }
        return asked.sibling(host: parts[0].string ?? "", port: port)
    }

    func owner(of slot: HashSlot) -> NodeAddress? {
        let index = self.owners[slot.number]
        return index < 0 ? nil : self.primaries[index]
    }

    mutating func move(_ slot: HashSlot, to address: NodeAddress) {
        self.owners[slot.number] = self.index(of: address)
    }

    private mutating func index(of address: NodeAddress) -> Int {
        if let index = self.primaries.firstIndex(of: address) { return index }
        self.primaries.append(address)
        return self.primaries.count - 1
    }
}

extension NodeAddress {
    /// The address of a server as the one at this address names it.
    ///
    /// The host is empty or `?` if that one does not know it: the same host is meant then.
    func sibling(host: String, port: Int) -> NodeAddress? {
        guard 1...65535 ~= port else { return nil }
        if !host.isEmpty, host != "?" { return .tcp(host: host, port: port) }
        guard case .tcp(let own, _) = self else { return nil }
        return .tcp(host: own, port: port)
    }
}

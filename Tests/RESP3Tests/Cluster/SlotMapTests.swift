import Testing

@testable import RESP3

@Suite("The map of a cluster")
struct SlotMapTests {
    private static let asked = NodeAddress.tcp(host: "10.0.0.1", port: 7000)

    private static func range(_ first: Int, _ last: Int, _ host: RESPValue, _ port: Int) -> RESPValue {
        .array([
            .integer(first), .integer(last), .array([host, .integer(port), "id", .array([])]),
            .array(["10.0.0.9", .integer(7009), "replica"]),
        ])
    }

    private static func map(_ ranges: RESPValue..., info: RESPValue = .array([.null])) -> SlotMap? {
        SlotMap([.array(ranges), info], from: Self.asked)
    }

    @Test("tells the primary of each slot, and of those without one, none")
    func owners() throws {
        let map = try #require(Self.map(Self.range(0, 99, "10.0.0.1", 7000), Self.range(101, 16383, "10.0.0.2", 7001)))
        let slots = try [0, 99, 100, 101, 16383].map { try #require(HashSlot(number: $0)) }
        let other = NodeAddress.tcp(host: "10.0.0.2", port: 7001)
        #expect(slots.map { map.owner(of: $0) } == [Self.asked, Self.asked, nil, other, other])
        #expect(map.primaries == [Self.asked, other])
        #expect(!map.hasShardedChannels)
    }

    @Test("takes a server that does not know its name to be where it was asked", arguments: [RESPValue.null, "", "?"])
    func unknownHost(host: RESPValue) throws {
        let map = try #require(Self.map(Self.range(0, 16383, host, 7005)))
        #expect(map.primaries == [.tcp(host: "10.0.0.1", port: 7005)])
    }

    @Test("changes where a server says that a slot has moved")
    func move() throws {
        var map = try #require(Self.map(Self.range(0, 16383, "10.0.0.1", 7000)))
        let slot = try #require(HashSlot(number: 7))
        let other = NodeAddress.tcp(host: "10.0.0.3", port: 7003)
        map.move(slot, to: other)
        #expect(map.owner(of: slot) == other)
        #expect(map.primaries.count == 2)
    }

    @Test("knows whether there are sharded channels")
    func shardedChannels() throws {
        let info = RESPValue.array([.array(["spublish", .integer(3)])])
        let map = try #require(Self.map(Self.range(0, 1, "10.0.0.1", 7000), info: info))
        #expect(map.hasShardedChannels)
        let refused = try #require(
            Self.map(Self.range(0, 1, "10.0.0.1", 7000), info: .error(ServerError("NOPERM no permission"))))
        #expect(!refused.hasShardedChannels)
    }

    @Test("is not made of anything else")
    func nonsense() {
        #expect(Self.map() == nil)
        #expect(Self.map(Self.range(0, 16384, "a", 1)) == nil)
        #expect(Self.map(Self.range(-1, 5, "a", 1)) == nil)
        #expect(Self.map(Self.range(5, 4, "a", 1)) == nil)
        #expect(Self.map(Self.range(0, 5, "a", 70000)) == nil)
        #expect(Self.map(.array([.integer(1), .integer(2)])) == nil)
        #expect(Self.map(.array([.integer(1), .integer(2), .integer(3)])) == nil)
        #expect(SlotMap([], from: Self.asked) == nil)
        #expect(SlotMap([.error(ServerError("ERR no cluster")), .null], from: Self.asked) == nil)
    }

    @Test(
        "A redirect is understood, and nothing else is one",
        arguments: [
            ("MOVED 3999 127.0.0.1:6381", "moved 3999 127.0.0.1:6381"), ("MOVED 1 :6381", "moved 1 10.0.0.1:6381"),
            ("MOVED 1 ?:6381", "moved 1 10.0.0.1:6381"), ("MOVED 1 ::1:6381", "moved 1 [::1]:6381"),
            ("ASK 3999 a.example:6381", "ask a.example:6381"), ("TRYAGAIN Multiple keys", "tryAgain"),
            ("CLUSTERDOWN Hash slot not served", "down"), ("READONLY You can't write", "down"),
            ("MOVED", "none"), ("MOVED 1", "none"), ("MOVED 16384 a:1", "none"), ("MOVED x a:1", "none"),
            ("MOVED 1 a", "none"), ("MOVED 1 a:0", "none"), ("MOVED 1 a:99999", "none"), ("ASK 1 a:x", "none"),
            ("LOADING Redis is loading", "none"), ("OOM", "none"),
        ])
    func redirects(line: String, meaning: String) {
        let redirect = ClusterRedirect(ServerError(line), from: Self.asked)
        let text =
            switch redirect {
            case .moved(let slot, let address): "moved \(slot.number) \(address)"
            case .ask(let address): "ask \(address)"
            case .tryAgain: "tryAgain"
            case .down: "down"
            case nil: "none"
            }
        #expect(text == meaning)
    }
}

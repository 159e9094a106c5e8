import Testing

@testable import RESP3

@Suite("The slot of a key")
struct HashSlotTests {
    @Test(
        "is what the servers think it is",
        arguments: [
            ("123456789", 0x31C3), ("foo", 12182), ("bar", 5061), ("hello", 866), ("", 0), ("foo{hash_tag}", 2515),
            ("{hash_tag}", 2515), ("hash_tag", 2515),
        ])
    func numbers(key: String, slot: Int) {
        #expect(HashSlot(key: Array(key.utf8)).number == slot % 16384)
    }

    @Test(
        "is that of what is in the first braces, unless that is nothing",
        arguments: [
            ("{user1000}.following", "user1000"), ("foo{}{bar}", "foo{}{bar}"), ("foo{{bar}}zap", "{bar"),
            ("foo{bar}{zap}", "bar"), ("}{a}", "a"), ("{a", "{a"), ("a}b", "a}b"),
        ])
    func tags(key: String, hashed: String) {
        #expect(HashSlot(key: Array(key.utf8)) == Self.slot(of: hashed))
    }

    /// By the definition, bit by bit.
    private static func slot(of text: String) -> HashSlot? {
        var sum: UInt16 = 0
        for byte in text.utf8 {
            sum ^= UInt16(byte) << 8
            for _ in 0..<8 { sum = sum & 0x8000 == 0 ? sum << 1 : sum << 1 ^ 0x1021 }
        }
        return HashSlot(number: Int(sum) % 16384)
    }
}

import IdemptxTesting
import Testing

// That the cost of a lease grows with the logarithm of their number does not show from outside; that none is forgotten in
// the heap which makes it so does.
@testable import Idemptx

@Suite("Many leases")
struct LeaseHeapTests {
    private func lease(_ milliseconds: Int64) throws -> Lease {
        let owner = OwnerToken()
        let key = try #require(StorageKey(bytes: owner.bytes + owner.bytes))
        let request = ClaimRequest(key: key, owner: owner, lease: .milliseconds(3 * milliseconds))
        return Lease(
            Claim(granting: request, ClaimGrant(attempt: 1)), for: request, store: StoreIdentity(name: "test"),
            requestedAt: Timestamp(milliseconds: 0))
    }

    @Test(
        "are due in the order of their dates, whatever is added, moved and removed in between", arguments: UInt64(0)..<5
    )
    func order(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var heap = LeaseHeap()
        var dates: [Int: Int64?] = [:]
        for _ in 0..<500 {
            let date = Int64.random(in: 1...1_000, using: &generator)
            switch Int.random(in: 0..<4, using: &generator) {
            case 0, 1:
                let slot = heap.add(try self.lease(date))
                #expect(dates[slot] == nil, "A slot belongs to one lease")
                dates[slot] = .some(date)
            case 2:
                guard let slot = dates.keys.sorted().randomElement(using: &generator) else { continue }
                let isDue = Bool.random(using: &generator)
                heap.move(slot, to: isDue ? Timestamp(milliseconds: date) : nil)
                dates[slot] = .some(isDue ? date : nil)
            default:
                guard let slot = dates.keys.sorted().randomElement(using: &generator) else { continue }
                heap.remove(slot)
                dates[slot] = nil
            }
            #expect(heap.count == dates.count)
            #expect(heap.firstDate?.milliseconds == dates.values.compactMap(\.self).min())
        }
        let expected = dates.values.compactMap(\.self).sorted()
        var due: [Int64] = []
        while let date = heap.firstDate, let (slot, _) = heap.firstDue(now: Timestamp(milliseconds: 1_000)) {
            due.append(date.milliseconds)
            #expect(dates[slot] == .some(date.milliseconds))
            heap.remove(slot)
        }
        #expect(due == expected)
    }
}

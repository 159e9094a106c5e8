import HTTPTypes
import Synchronization

/// Completed operations in the memory of this process; see ``IdempotencyPolicy/maxReplayCacheBytes``.
///
/// The oldest go first.
final class ReplayCache: Sendable {
    fileprivate struct Entry {
        let fingerprint: Fingerprint
        let outcome: Outcome
        let until: Timestamp
        let number: UInt64
    }

    fileprivate struct State {
        var entries: [StorageKey: Entry] = [:]
        var order: [(key: StorageKey, number: UInt64)] = []
        var firstInOrder = 0
        var bytes = 0
        var number: UInt64 = 0
    }

    private let state = Mutex(State())
    private let time: TimeSource

    init(time: TimeSource) {
        self.time = time
    }

    /// What the store would say, as far as is known here.
    func result(for request: ClaimRequest) -> ClaimResult<Lease>? {
        let now = self.time.now
        guard let entry = self.state.withLock({ $0.liveEntry(of: request.key, now: now) }) else { return nil }
        if request.comparesFingerprint, entry.fingerprint.disagrees(with: request.fingerprint) { return .mismatch }
        return .completed(entry.outcome)
    }

    func insert(_ outcome: Outcome, for request: ClaimRequest, policy: SharedPolicy) {
        // Without a comparison, the fingerprint of the request need not be that of the record.
        guard request.comparesFingerprint else { return }
        let maxBytes = policy.maxReplayCacheBytes
        guard maxBytes > 0, outcome.size <= maxBytes else { return }
        let until = self.time.now.advanced(by: min(policy.replayCacheTime, policy.keyTTL))
        self.state.withLock { state in
            state.remove(request.key)
            state.number += 1
            state.entries[request.key] = Entry(
                fingerprint: request.fingerprint, outcome: outcome, until: until, number: state.number)
            state.order.append((request.key, state.number))
            state.bytes += outcome.size
            while state.bytes > maxBytes { state.removeOldest() }
            state.forgetReplaced()
        }
    }
}

extension ReplayCache.State {
    fileprivate mutating func liveEntry(of key: StorageKey, now: Timestamp) -> ReplayCache.Entry? {
        guard let entry = self.entries[key] else { return nil }
        if now < entry.until { return entry }
        self.remove(key)
        return nil
    }

    /// Forgets the places of entries that have been replaced, or removed out of their turn.
    fileprivate mutating func forgetReplaced() {
        guard self.order.count - self.firstInOrder > 2 * self.entries.count + 1_000 else { return }
        self.order = self.order[self.firstInOrder...].filter { self.entries[$0.key]?.number == $0.number }
        self.firstInOrder = 0
    }

    fileprivate mutating func remove(_ key: StorageKey) {
        guard let entry = self.entries.removeValue(forKey: key) else { return }
        self.bytes -= entry.outcome.size
    }

    fileprivate mutating func removeOldest() {
        guard self.firstInOrder < self.order.count else { return }
        let oldest = self.order[self.firstInOrder]
        self.firstInOrder += 1
        if self.entries[oldest.key]?.number == oldest.number { self.remove(oldest.key) }
        if self.firstInOrder > 1_000, self.firstInOrder * 2 > self.order.count {
            self.order.removeFirst(self.firstInOrder)
            self.firstInOrder = 0
        }
    }
}

extension Outcome {
    /// About how many bytes of memory the outcome takes.
    var size: Int {
        switch self {
        case .response(let response):
            response.headerFields.reduce(response.body.count + 200) {
                $0 + $1.name.rawName.utf8.count + $1.value.utf8.count
            }
        case .tombstone: 200
        }
    }
}

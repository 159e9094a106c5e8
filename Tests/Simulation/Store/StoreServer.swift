import Idemptx
import Synchronization

/// The store of a simulation: one copy of the records, changed by ``RecordTransitions``, on a clock of its own.
final class StoreServer: Sendable {
    private struct State {
        var records: [StorageKey: IdempotencyRecord] = [:]
        /// What the records were before each write, the last write last.
        var journal: [(key: StorageKey, before: IdempotencyRecord?)] = []
        var standsUntil = Moment.zero
        var fullUntil = Moment.zero
        var links: [StoreLink] = []
    }

    private let history: History
    private let mutant: Mutant?
    private let state = Mutex(State())

    init(history: History, mutant: Mutant?) {
        self.history = history
        self.mutant = mutant
    }

    private static let onlyKey = StorageKey(bytes: Array(repeating: 0 as UInt8, count: StorageKey.byteCount))

    private var now: Timestamp { Timestamp(onStoreClock: Scheduler.shared.now) }

    func add(_ link: StoreLink) {
        self.state.withLock { $0.links.append(link) }
    }

    /// The record of a key, unless it has expired.
    func record(of key: StorageKey) -> IdempotencyRecord? {
        RecordTransitions.live(self.state.withLock { $0.records[key] }, now: self.now)
    }

    // MARK: Faults

    /// Does nothing more until a moment.
    func standStill(until end: Moment) {
        self.state.withLock { $0.standsUntil = max($0.standsUntil, end) }
    }

    /// Has no room until a moment.
    func fill(until end: Moment) {
        self.state.withLock { $0.fullUntil = max($0.fullUntil, end) }
    }

    func heal() {
        self.state.withLock { ($0.standsUntil, $0.fullUntil) = (.zero, .zero) }
    }

    /// Loses its last writes, as a replica does that takes over too early.
    func forget(_ count: Int) {
        let keys = self.state.withLock { state in
            var keys: [StorageKey] = []
            for _ in 0..<count {
                guard let write = state.journal.popLast() else { break }
                state.records[write.key] = write.before
                keys.append(write.key)
            }
            return keys
        }
        for key in keys { self.history.add(StoreEvent(.forgotten, key: key, process: 0)) }
    }

    /// Releases all keys whose outcome is unknown, as an operator does who has found out.
    func releaseUnknown() {
        let (now, rules) = (self.now, self.mutant)
        let keys = self.state.withLock { state in
            state.records.keys.sorted { "\($0)" < "\($1)" }.filter { key in
                let transition = rules.operatorRelease(state.records[key], now: now)
                guard transition.change != .none else { return false }
                state.journal.append((key, state.records[key]))
                transition.change.apply(to: &state.records[key])
                return true
            }
        }
        for key in keys {
            self.history.add(StoreEvent(.releasedByOperator, key: key, process: 0))
            self.announce(key)
        }
    }

    // MARK: Calls

    /// Takes a message, and replies once it has done what it says.
    func receive(
        _ call: StoreCall, from process: Int, reply: @escaping @Sendable (Result<StoreReply, any Error>) -> Void
    ) {
        let standsUntil = self.state.withLock { $0.standsUntil }
        guard standsUntil <= Scheduler.shared.now else {
            Scheduler.shared.schedule(at: standsUntil) { self.receive(call, from: process, reply: reply) }
            return
        }
        reply(Result { try self.perform(call, from: process) })
    }

    private func perform(_ call: StoreCall, from process: Int) throws -> StoreReply {
        switch call {
        case .claim(let request, let notAfter):
            if let notAfter, notAfter < Scheduler.shared.now, self.mutant != .ghostClaims {
                throw StoreError(.unavailable, "The claim came too late.")
            }
            let rules = self.mutant
            return .claim(try self.change(call, from: process) { rules.claim($0, request, now: $1) })
        case .renew(let holder, let lease):
            let rules = self.mutant
            let isRenewed = try self.change(call, from: process) { rules.renew($0, holder, lease: lease, now: $1) }
            if isRenewed, lease <= .zero { self.announce(holder.key) }
            return .isDone(isRenewed)
        case .complete(let holder, let outcome, let keyTTL):
            let rules = self.mutant
            let isStored = try self.change(call, from: process) {
                rules.complete($0, holder, outcome, keyTTL: keyTTL, now: $1)
            }
            if isStored { self.announce(holder.key) }
            return .isDone(isStored)
        case .release(let holder):
            let rules = self.mutant
            let isReleased = try self.change(call, from: process) { rules.release($0, holder, now: $1) }
            if isReleased { self.announce(holder.key) }
            return .isDone(isReleased)
        }
    }

    /// Changes a record as one step.
    private func change<Value>(
        _ call: StoreCall,
        from process: Int,
        _ step: (IdempotencyRecord?, Timestamp) -> Transition<Value>
    ) throws -> Value {
        let now = self.now
        let (value, event) = try self.state.withLock { state throws -> (Value, StoreEvent?) in
            let place = self.mutant == .oneRecordForAll ? Self.onlyKey ?? call.key : call.key
            let before = state.records[place]
            let transition = step(before, now)
            guard transition.change != .none else { return (transition.result, nil) }
            guard state.fullUntil <= Scheduler.shared.now else {
                throw StoreError(.unavailable, "There is no room.")
            }
            state.journal.append((place, before))
            transition.change.apply(to: &state.records[place])
            return (
                transition.result, StoreEvent(call, before: before, after: state.records[place], process: process)
            )
        }
        if let event { self.history.add(event) }
        return value
    }

    private func announce(_ key: StorageKey) {
        for link in self.state.withLock({ $0.links }) { link.hint(key) }
    }
}

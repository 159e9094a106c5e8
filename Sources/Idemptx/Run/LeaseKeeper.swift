import Logging
import Synchronization

/// Renews the leases of all running attempts, a third of the lease after each renewal.
///
/// One loop serves all of them. It starts with the first lease and ends when it finds none, so that a short operation
/// costs an entry in a table and no task.
final class LeaseKeeper: Sendable {
    private struct State {
        var leases: [ObjectIdentifier: LiveLease] = [:]
        /// Until when the loop sleeps; `nil` while there is no loop.
        var wakeUp: Timestamp?
    }

    private enum LoopNeed {
        case none
        case wakeUp
        case start
    }

    private let store: any IdempotencyStore
    private let time: TimeSource
    private let telemetry: Telemetry
    private let state = Mutex(State())
    private let bell = Bell()

    init(store: any IdempotencyStore, time: TimeSource, telemetry: Telemetry) {
        self.store = store
        self.time = time
        self.telemetry = telemetry
    }

    /// Keeps `claim` alive until the returned lease is ended or dropped.
    func hold(_ claim: consuming Claim, lease duration: Duration, requestedAt: Timestamp) -> HeldLease {
        let lease = LiveLease(
            claim, store: self.store.identity, duration: duration, requestedAt: requestedAt)
        let (need, count) = self.state.withLock { state in
            state.leases[ObjectIdentifier(lease)] = lease
            return (self.need(of: lease, in: &state), state.leases.count)
        }
        self.telemetry.recordRunning(count)
        switch need {
        case .none: break
        case .wakeUp: self.bell.ring()
        // Nobody waits for this task: it ends by itself once no lease is left. It serves many requests, so that it
        // must not carry the trace and the logger of the one that happened to be the first.
        case .start: Task.detached { await self.run() }
        }
        return HeldLease(lease, keeper: self)
    }

    private func need(of lease: LiveLease, in state: inout State) -> LoopNeed {
        guard let renewAt = lease.renewAt else { return .none }
        guard let wakeUp = state.wakeUp else {
            state.wakeUp = renewAt
            return .start
        }
        // The loop sleeps longer than this lease can wait only if its other leases are longer.
        return renewAt < wakeUp ? .wakeUp : .none
    }

    func drop(_ lease: LiveLease) {
        lease.end()
        let count = self.state.withLock { state in
            state.leases[ObjectIdentifier(lease)] = nil
            return state.leases.count
        }
        self.telemetry.recordRunning(count)
    }

    private func run() async {
        await withDiscardingTaskGroup { group in
            while let wakeUp = self.nextWakeUp() {
                let now = self.time.now
                if now < wakeUp { await self.bell.wait(atMost: now.duration(to: wakeUp), time: self.time) }
                for lease in self.dueLeases() {
                    group.addTask { await withLogger(lease.logger) { _ in await self.renew(lease) } }
                }
            }
        }
    }

    /// When the loop has something to do next; `nil` if it is over.
    private func nextWakeUp() -> Timestamp? {
        self.state.withLock { state in
            // A lease whose renewal is under way has no date; the end of the renewal rings.
            let untilRung = self.time.now.advanced(by: .seconds(3600))
            state.wakeUp = state.leases.isEmpty ? nil : state.leases.values.compactMap(\.renewAt).min() ?? untilRung
            return state.wakeUp
        }
    }

    private func dueLeases() -> [LiveLease] {
        let now = self.time.now
        return self.state.withLock { state in state.leases.values.filter { $0.beginRenewal(now: now) } }
    }

    private func renew(_ lease: LiveLease) async {
        let requestedAt = self.time.now
        do {
            let isHeld = try await self.telemetry.storeCall(.renew) {
                try await self.store.renew(lease.claim, lease: lease.duration)
            }
            if isHeld {
                lease.renewalSucceeded(requestedAt: requestedAt)
                self.telemetry.leaseRenewed()
            } else if lease.renewalRefused() {
                self.telemetry.leaseLost(lease.claim)
            }
        } catch {
            lease.renewalFailed(now: self.time.now)
        }
        self.bell.ring()
    }
}

import Idemptx
import Synchronization

/// All that happened in a simulation: what the invariants are checked on.
final class History: Sendable {
    /// A line of the log.
    struct Line: Sendable {
        enum Kind: String, Sendable {
            case sends
            case arrives
            case responds
            case receives
            case hangsUp
            case starts
            case hasEffect
            case ends
            case calls
            case receivesReply
            case missesReply
            case changesRecord
            case recovers
            case goesWrong
        }

        let at: Moment
        let kind: Kind
        let subject: Int
        let number: Int
        let text: String
        let detail: String

        var description: String {
            let detail = self.detail.isEmpty ? "" : " (\(self.detail))"
            return
                "\(self.at.milliseconds) ms: \(self.kind.rawValue) \(self.subject)/\(self.number) \(self.text)\(detail)"
        }
    }

    struct State: Sendable {
        var lines: [Line] = []
        var requests: [SentRequest] = []
        var executions: [Execution] = []
        var storeEvents: [StoreEvent] = []
        var calls: [CallRecord] = []
        var recoveries: [RecoveryRecord] = []
        var processes: [Int: ProcessRecord] = [:]
        var faults: [Fault.Kind: Int] = [:]
        /// When messages of a slot were harmed.
        var harms: [(slot: Int, from: Moment, until: Moment)] = []
        var claimsUnderWay: [ClaimInFlight: Set<OwnerToken>] = [:]
        /// Whoever has made a claim.
        var claimants: Set<OwnerToken> = []
        /// When a process made several claims for one thing at a time.
        var crowds: [(process: Int, at: Moment, count: Int)] = []
        /// What is found at once.
        var violations: [Violation] = []

        /// The history, a line for each event.
        var story: [String] { self.lines.map(\.description) }

        /// Two histories with one digest are one.
        var digest: UInt64 {
            var digest: UInt64 = 0xCBF2_9CE4_8422_2325
            for line in self.lines {
                for byte in line.description.utf8 { digest = (digest ^ UInt64(byte)) &* 0x100_0000_01B3 }
            }
            return digest
        }
    }

    /// Claims of a process that say the same.
    struct ClaimInFlight: Hashable {
        let process: Int
        let key: StorageKey
        let fingerprint: Fingerprint
    }

    private let state = Mutex(State())

    /// All of it.
    var snapshot: State { self.state.withLock { $0 } }

    // MARK: The log

    func log(_ kind: Line.Kind, _ subject: Int, _ number: Int, _ text: String, _ detail: String) {
        let now = Scheduler.shared.now
        self.state.withLock {
            $0.lines.append(Line(at: now, kind: kind, subject: subject, number: number, text: text, detail: detail))
        }
    }

    func violate(_ invariant: Invariant, _ text: String) {
        let violation = Violation(invariant: invariant, at: Scheduler.shared.now, text: text)
        self.state.withLock { $0.violations.append(violation) }
    }

    // MARK: Requests

    /// - Returns: The number of the request.
    func sends(wish: Int, subject: Int, variant: Int, process: Int) -> Int {
        let now = Scheduler.shared.now
        let id = self.state.withLock { state in
            let id = state.requests.count
            state.requests.append(
                SentRequest(id: id, wish: wish, subject: subject, variant: variant, process: process, sent: now))
            return id
        }
        self.log(.sends, process, id, "subject \(subject), variant \(variant)", wish < 0 ? "at the end" : "")
        return id
    }

    func change(_ request: Int, _ change: (inout SentRequest) -> Void) {
        self.state.withLock { change(&$0.requests[request]) }
    }

    // MARK: Executions

    /// - Returns: The number of the execution.
    func begins(_ make: (_ id: Int, _ changeCount: Int) -> Execution) -> Execution {
        let execution = self.state.withLock { state in
            let execution = make(state.executions.count, state.storeEvents.count)
            state.executions.append(execution)
            return execution
        }
        self.log(
            .starts, execution.process, execution.id, "for request \(execution.request), attempt \(execution.attempt)",
            "\(execution.behaviour.end)")
        return execution
    }

    func change(execution: Int, _ change: (inout Execution) -> Void) {
        self.state.withLock { change(&$0.executions[execution]) }
    }

    /// The last execution of a subject that has had an effect since a moment.
    func effect(of subject: Int, since begin: Moment) -> Execution? {
        self.state.withLock { state in
            state.executions.last { $0.subject == subject && ($0.effect ?? .zero) >= begin && $0.effect != nil }
        }
    }

    // MARK: The store

    func add(_ event: StoreEvent) {
        var event = event
        event.at = Scheduler.shared.now
        self.log(
            .changesRecord, event.process, event.attempt, event.kind.rawValue,
            event.leaseEnd.map { "until \($0.milliseconds)" } ?? "")
        self.state.withLock { state in
            event.number = state.storeEvents.count
            state.storeEvents.append(event)
        }
    }

    /// - Returns: The place of the call in the history.
    func begins(_ call: StoreCall, number: UInt64, process: Int, fate: String) -> Int {
        self.log(.calls, process, Int(number), call.name, fate)
        let record = CallRecord(name: call.name, owner: call.owner, process: process, began: Scheduler.shared.now)
        return self.state.withLock { state in
            state.calls.append(record)
            return state.calls.count - 1
        }
    }

    func ends(_ call: Int, with reply: StoreReply) {
        let now = Scheduler.shared.now
        self.state.withLock { state in
            state.calls[call].replied = now
            if case .isDone(let isDone) = reply { state.calls[call].isRefused = !isDone }
        }
    }

    /// Whether a key was released within the last 300 ms.
    func wasReleasedJustNow(_ key: StorageKey) -> Bool {
        let now = Scheduler.shared.now
        return self.state.withLock {
            $0.storeEvents.contains { $0.key == key && $0.kind == .released && $0.at.distance(to: now) < 300 }
        }
    }

    /// A process asks the store for a key.
    func claimBegins(_ request: ClaimRequest, process: Int) {
        let claim = ClaimInFlight(process: process, key: request.key, fingerprint: request.fingerprint)
        let now = Scheduler.shared.now
        let count = self.state.withLock { state in
            // One that is made again, with its own token, shares no call.
            guard state.claimants.insert(request.owner).inserted else { return 0 }
            state.claimsUnderWay[claim, default: []].insert(request.owner)
            return state.claimsUnderWay[claim]?.count ?? 0
        }
        guard count > 1 else { return }
        self.state.withLock { $0.crowds.append((process, now, count)) }
    }

    func claimEnds(_ request: ClaimRequest, process: Int) {
        let claim = ClaimInFlight(process: process, key: request.key, fingerprint: request.fingerprint)
        self.state.withLock { _ = $0.claimsUnderWay[claim]?.remove(request.owner) }
    }

    // MARK: Faults

    func happened(_ fault: Fault.Kind) {
        self.state.withLock { $0.faults[fault, default: 0] += 1 }
    }

    func harmed(slot: Int, from: Moment, until: Moment) {
        self.state.withLock { $0.harms.append((slot, from, until)) }
    }

    // MARK: Processes

    func begins(_ process: ProcessRecord) {
        self.state.withLock { $0.processes[process.id] = process }
    }

    func dies(_ process: Int) {
        let now = Scheduler.shared.now
        self.state.withLock { $0.processes[process]?.died = now }
    }

    // MARK: Recoveries

    func recoveryBegins(subject: Int, process: Int) -> Int {
        let record = RecoveryRecord(subject: subject, process: process, began: Scheduler.shared.now)
        return self.state.withLock { state in
            state.recoveries.append(record)
            return state.recoveries.count - 1
        }
    }

    func recoveryEnds(_ number: Int, _ result: RecoveryRecord.Result) {
        let now = Scheduler.shared.now
        let process = self.state.withLock { state in
            state.recoveries[number].ended = now
            state.recoveries[number].result = result
            return state.recoveries[number].process
        }
        self.log(.recovers, process, number, "\(result)", "")
    }
}

import HTTPTypes
import Idemptx
import Testing

/// Every run of a few clients on one key, with every order of their steps, every lost reply, every crash, and every
/// moment at which a lease can end.
@Suite("Every small world")
struct SmallWorldTests {
    @Test("Two clients that retry, crash and lose replies", arguments: UnknownOutcomeRule.Kind.allCases)
    func twoClients(rule: UnknownOutcomeRule.Kind) {
        let explorer = Explorer(rules: .real, onAbandoned: rule, clients: 2, leaseEnds: 2)
        let found = explorer.explore()
        #expect(found.violations.isEmpty)
        #expect(found.worlds > 500)
        #expect(found.completedWorlds > 100, "Worlds in which nothing succeeds prove nothing")
    }

    @Test("Three clients", arguments: UnknownOutcomeRule.Kind.allCases)
    func threeClients(rule: UnknownOutcomeRule.Kind) {
        let explorer = Explorer(rules: .real, onAbandoned: rule, clients: 3, leaseEnds: 1)
        #expect(explorer.explore().violations.isEmpty)
    }

    @Test("Every mutant is caught", arguments: Rules.mutants.keys.sorted())
    func mutants(name: String) throws {
        let rules = try #require(Rules.mutants[name])
        let isCaught = UnknownOutcomeRule.Kind.allCases.contains { rule in
            [(2, true), (3, false)].contains { clients, withOperator in
                let explorer = Explorer(
                    rules: rules, onAbandoned: rule, clients: clients, leaseEnds: 2, withOperator: withOperator)
                return !explorer.explore(stopsAtViolation: true).violations.isEmpty
            }
        }
        #expect(isCaught)
    }

    @Test("Two clients, and an operator who releases keys by force", arguments: UnknownOutcomeRule.Kind.allCases)
    func operatorActs(rule: UnknownOutcomeRule.Kind) {
        let explorer = Explorer(rules: .real, onAbandoned: rule, clients: 2, leaseEnds: 1, withOperator: true)
        #expect(explorer.explore().violations.isEmpty)
    }
}

/// The rules a world goes by: the transitions, or something like them.
private struct Rules: Sendable {
    var claim: @Sendable (IdempotencyRecord?, ClaimRequest, Timestamp) -> Transition<ClaimResult<ClaimGrant>> = {
        RecordTransitions.claim($0, $1, now: $2)
    }
    var renew: @Sendable (IdempotencyRecord?, OwnerToken, ClaimRetention, Timestamp) -> Transition<Bool> = {
        RecordTransitions.renew($0, owner: $1, lease: Explorer.lease, retention: $2, now: $3)
    }
    var complete: @Sendable (IdempotencyRecord?, OwnerToken, Outcome, Timestamp) -> Transition<Bool> = {
        RecordTransitions.complete($0, owner: $1, outcome: $2, keyTTL: Explorer.keyTTL, now: $3)
    }
    var release: @Sendable (IdempotencyRecord?, OwnerToken, Timestamp) -> Transition<Bool> = {
        RecordTransitions.release($0, owner: $1, keyTTL: Explorer.keyTTL, now: $2)
    }
    var operatorRelease: @Sendable (IdempotencyRecord?, Timestamp) -> Transition<OperatorResult> = {
        RecordTransitions.operatorRelease($0, force: true, keyTTL: Explorer.keyTTL, now: $1)
    }

    static let real = Rules()

    static let mutants: [String: Rules] = [
        "unfenced complete": Rules(complete: { record, owner, outcome, now in
            RecordTransitions.complete(
                record, owner: record?.owner ?? owner, outcome: outcome, keyTTL: Explorer.keyTTL, now: now)
        }),
        "unfenced renewal": Rules(renew: { record, owner, retention, now in
            RecordTransitions.renew(
                record, owner: record?.owner ?? owner, lease: Explorer.lease, retention: retention, now: now)
        }),
        "unfenced release": Rules(release: { record, owner, now in
            RecordTransitions.release(
                record, owner: record?.owner ?? owner, keyTTL: Explorer.keyTTL, now: now)
        }),
        "a later attempt's release forgets its number": Rules(release: { record, owner, now in
            let step = RecordTransitions.release(record, owner: owner, keyTTL: Explorer.keyTTL, now: now)
            return step.change == .none ? step : Transition(step.result, .remove)
        }),
        "an operator's release forgets the number": Rules(operatorRelease: { record, now in
            let step = RecordTransitions.operatorRelease(record, force: true, now: now)
            return step.change == .none ? step : Transition(step.result, .remove)
        }),
        "an unknown outcome expires": Rules(claim: { record, request, now in
            let step = RecordTransitions.claim(record, request, now: now)
            guard case .write(var record) = step.change else { return step }
            record.expires = now.advanced(by: request.keyTTL)
            return Transition(step.result, .write(record))
        }),
        "an unknown outcome expires once its lease was renewed": Rules(renew: { record, owner, retention, now in
            var retention = retention
            retention.onAbandoned = .rerun
            return RecordTransitions.renew(
                record, owner: owner, lease: Explorer.lease, retention: retention, now: now)
        }),
        "a free key counts from 1": Rules(claim: { record, request, now in
            var record = record
            if case .free = record?.state { record = nil }
            return RecordTransitions.claim(record, request, now: now)
        }),
        "rerun under a running lease": Rules(claim: { record, request, now in
            // Only at first, so that two clients do not replace each other without end.
            guard var running = record, running.attempt < 3, running.owner != request.owner,
                case .claimed = running.state
            else {
                return RecordTransitions.claim(record, request, now: now)
            }
            running.state = .claimed(leaseEnd: now)
            return RecordTransitions.claim(running, request, now: now)
        }),
        "record dies with its lease": Rules(claim: { record, request, now in
            var request = request
            request.keyTTL = request.lease
            request.unresolvedRetention = .zero
            return RecordTransitions.claim(record, request, now: now)
        }),
        "own token not recognised": Rules(claim: { record, request, now in
            guard let record, record.owner == request.owner, case .claimed = record.state else {
                return RecordTransitions.claim(record, request, now: now)
            }
            var stranger = request
            stranger.owner = OwnerToken()
            return RecordTransitions.claim(record, stranger, now: now)
        }),
        "completion of a key that is free": Rules(complete: { record, owner, outcome, now in
            guard var forgotten = record, case .free = forgotten.state else {
                return RecordTransitions.complete(
                    record, owner: owner, outcome: outcome, keyTTL: Explorer.keyTTL, now: now)
            }
            forgotten.state = .claimed(leaseEnd: now)
            forgotten.owner = owner
            return RecordTransitions.complete(
                forgotten, owner: owner, outcome: outcome, keyTTL: Explorer.keyTTL, now: now)
        }),
    ]
}

private struct Explorer {
    static let lease = Duration.seconds(10)
    static let keyTTL = Duration.seconds(1_000_000)

    static func request(_ owner: OwnerToken, _ rule: UnknownOutcomeRule.Kind) -> ClaimRequest {
        let bytes = Array(repeating: 0 as UInt8, count: StorageKey.byteCount)
        guard let key = StorageKey(bytes: bytes) else { preconditionFailure("A storage key has byteCount bytes") }
        return ClaimRequest(key: key, owner: owner, lease: self.lease, keyTTL: self.keyTTL, onAbandoned: rule)
    }

    struct Findings {
        var worlds = 0
        var completedWorlds = 0
        var violations: [String] = []
    }

    /// What a client is up to.
    ///
    /// It retries a step whose reply was lost, with the same token.
    enum Client: Hashable {
        case claiming
        case running(attempt: Int)
        /// The effect has happened.
        case completing(attempt: Int)
        /// The operation said that it had no effect.
        case releasing
        case replayed(Outcome)
        /// Told to go away, crashed, or fenced off.
        case gone
    }

    struct World: Hashable {
        var record: IdempotencyRecord?
        var now = Timestamp(milliseconds: 0)
        var clients: [Client]
        var leaseEndsLeft: Int
        /// The attempts that had an effect, in their order.
        var effects: [Int] = []
        /// Whether an operator may still act, and keys may still grow old.
        var mayAct = true
        var mayAge = true
        /// Whether an operator released a key by force: then the operation may run twice.
        var isForced = false
        /// The first outcome that was stored.
        var stored: Outcome?
        /// What a single step did wrong.
        var flaw: String?
    }

    let rules: Rules
    let onAbandoned: UnknownOutcomeRule.Kind
    let owners: [OwnerToken]
    let leaseEnds: Int
    let withOperator: Bool

    init(rules: Rules, onAbandoned: UnknownOutcomeRule.Kind, clients: Int, leaseEnds: Int, withOperator: Bool = false) {
        self.rules = rules
        self.onAbandoned = onAbandoned
        self.owners = (0..<clients).map { _ in OwnerToken() }
        self.leaseEnds = leaseEnds
        self.withOperator = withOperator
    }

    func explore(stopsAtViolation: Bool = false) -> Findings {
        var findings = Findings()
        var seen: Set<World> = []
        var open = [World(clients: self.owners.map { _ in .claiming }, leaseEndsLeft: self.leaseEnds)]
        while let world = open.popLast() {
            guard seen.insert(world).inserted else { continue }
            findings.worlds += 1
            if world.stored != nil { findings.completedWorlds += 1 }
            if let violation = self.violation(in: world) {
                findings.violations.append(violation)
                if stopsAtViolation { return findings }
                continue
            }
            open += self.successors(of: world)
        }
        return findings
    }

    // MARK: Invariants

    private func violation(in world: World) -> String? {
        if let flaw = world.flaw { return flaw }
        let hasLeaseEnded = world.leaseEndsLeft < self.leaseEnds
        if world.effects.count > 1 && !world.isForced && (!hasLeaseEnded || self.onAbandoned == .refuse) {
            return "The operation had its effect twice: \(world)"
        }
        if Set(world.effects).count < world.effects.count {
            return "Two attempts with an effect have the same number: \(world)"
        }
        if let stored = world.stored, world.record?.state != .completed(stored) {
            return "A stored outcome changed or was lost: \(world)"
        }
        for case .replayed(let outcome) in world.clients where outcome != world.stored {
            return "A replay was not the stored outcome: \(world)"
        }
        return nil
    }

    // MARK: Steps

    private func successors(of world: World) -> [World] {
        var successors = world.clients.indices.flatMap { self.steps(of: $0, in: world) }
        if world.leaseEndsLeft > 0 {
            var later = world
            later.leaseEndsLeft -= 1
            later.now = world.now.advanced(by: Self.lease)
            successors.append(later)
        }
        return successors + self.operatorReleases(in: world) + self.grownOld(world)
    }

    private func operatorReleases(in world: World) -> [World] {
        guard world.mayAct, self.withOperator, world.record != nil else { return [] }
        let step = self.rules.operatorRelease(world.record, world.now)
        var released = self.applied(step.change, to: world)
        released.mayAct = false
        released.isForced = step.result == .done
        return [released]
    }

    /// Far more time than keyTTL passes, with an outcome that is not known.
    private func grownOld(_ world: World) -> [World] {
        guard world.mayAge, self.onAbandoned != .rerun, case .claimed = world.record?.state else { return [] }
        var old = world
        old.mayAge = false
        old.leaseEndsLeft = min(world.leaseEndsLeft, self.leaseEnds - 1)
        old.now = world.now.advanced(by: Self.keyTTL * 3)
        return [old]
    }

    private func steps(of client: Int, in world: World) -> [World] {
        switch world.clients[client] {
        case .claiming: self.claim(client, in: world) + [self.crash(client, in: world)]
        case .running(let attempt):
            [
                self.crash(client, in: world), self.effect(client, attempt: attempt, in: world),
                self.giveUp(client, in: world), self.renew(client, in: world),
            ]
        case .completing(let attempt):
            self.complete(client, attempt: attempt, in: world) + [self.crash(client, in: world)]
        case .releasing: self.release(client, in: world) + [self.crash(client, in: world)]
        case .replayed, .gone: []
        }
    }

    private func crash(_ client: Int, in world: World) -> World {
        var world = world
        world.clients[client] = .gone
        return world
    }

    private func effect(_ client: Int, attempt: Int, in world: World) -> World {
        var world = world
        world.effects.append(attempt)
        world.clients[client] = .completing(attempt: attempt)
        return world
    }

    private func giveUp(_ client: Int, in world: World) -> World {
        var world = world
        world.clients[client] = .releasing
        return world
    }

    /// The reply arrives, or is lost: then the client tries again.
    private func claim(_ client: Int, in world: World) -> [World] {
        let owner = self.owners[client]
        let step = self.rules.claim(world.record, Self.request(owner, self.onAbandoned), world.now)
        var lost = self.applied(step.change, to: world)
        if case .claimed = world.record?.state, world.record?.owner == owner,
            self.attempt(of: step.result) != world.record?.attempt
        {
            lost.flaw = "A lost reply locks its owner out: \(world)"
        }
        var heard = lost
        heard.clients[client] =
            switch step.result {
            case .granted(let grant): .running(attempt: grant.attempt)
            case .completed(let outcome): .replayed(outcome)
            case .inProgress, .mismatch, .unknown: .gone
            }
        return [lost, heard]
    }

    private func attempt(of result: ClaimResult<ClaimGrant>) -> Int? {
        guard case .granted(let grant) = result else { return nil }
        return grant.attempt
    }

    /// The reply may be lost: an owner that does not hear of its renewal goes on as before.
    private func renew(_ client: Int, in world: World) -> World {
        let step = self.rules.renew(
            world.record, self.owners[client], Self.request(self.owners[client], self.onAbandoned).retention, world.now)
        var renewed = self.applied(step.change, to: world)
        if step.result && world.record?.owner != self.owners[client] {
            renewed.flaw = "An attempt that is not the owner renewed: \(world)"
        }
        return renewed
    }

    private func complete(_ client: Int, attempt: Int, in world: World) -> [World] {
        let outcome = Outcome.response(StoredResponse(status: .ok, body: [UInt8(client), UInt8(attempt)]))
        let step = self.rules.complete(world.record, self.owners[client], outcome, world.now)
        var lost = self.applied(step.change, to: world)
        if step.change != .none && lost.stored == nil { lost.stored = outcome }
        if step.result && world.record?.owner != self.owners[client] {
            lost.flaw = "An attempt that is not the owner completed: \(world)"
        }
        return [lost, self.crash(client, in: lost)]
    }

    private func release(_ client: Int, in world: World) -> [World] {
        let step = self.rules.release(world.record, self.owners[client], world.now)
        var lost = self.applied(step.change, to: world)
        if step.result && world.record?.owner != self.owners[client] {
            lost.flaw = "An attempt that is not the owner released: \(world)"
        }
        return [lost, self.crash(client, in: lost)]
    }

    private func applied(_ change: RecordChange, to world: World) -> World {
        var world = world
        change.apply(to: &world.record)
        return world
    }
}

import HTTPTypes
import Idemptx
import Testing

/// Every run of a few clients on one key, with every order of their steps, every lost reply, every crash, and every
/// moment at which a lease can end.
@Suite("Every small world")
struct SmallWorldTests {
    @Test("Two clients that retry, crash and lose replies", arguments: AbandonedRule.allCases)
    func twoClients(rule: AbandonedRule) {
        let explorer = Explorer(rules: .real, onAbandoned: rule, clients: 2, leaseEnds: 2)
        let found = explorer.explore()
        #expect(found.violations.isEmpty)
        #expect(found.worlds > 500)
        #expect(found.completedWorlds > 100, "Worlds in which nothing succeeds prove nothing")
    }

    @Test("Three clients", arguments: AbandonedRule.allCases)
    func threeClients(rule: AbandonedRule) {
        let explorer = Explorer(rules: .real, onAbandoned: rule, clients: 3, leaseEnds: 1)
        #expect(explorer.explore().violations.isEmpty)
    }

    @Test("Every mutant is caught", arguments: Rules.mutants.keys.sorted())
    func mutants(name: String) throws {
        let rules = try #require(Rules.mutants[name])
        let found = AbandonedRule.allCases.flatMap { rule in
            Explorer(rules: rules, onAbandoned: rule, clients: 2, leaseEnds: 2).explore().violations
        }
        #expect(!found.isEmpty)
    }
}

/// The rules a world goes by: the transitions, or something like them.
private struct Rules: Sendable {
    var claim: @Sendable (IdempotencyRecord?, ClaimRequest, Timestamp) -> Transition<ClaimDecision> = {
        RecordTransitions.claim($0, $1, now: $2)
    }
    var renew: @Sendable (IdempotencyRecord?, OwnerToken, Timestamp) -> Transition<Bool> = {
        RecordTransitions.renew($0, owner: $1, lease: Explorer.lease, keyTTL: Explorer.keyTTL, now: $2)
    }
    var complete: @Sendable (IdempotencyRecord?, OwnerToken, Outcome, Timestamp) -> Transition<Bool> = {
        RecordTransitions.complete($0, owner: $1, outcome: $2, keyTTL: Explorer.keyTTL, now: $3)
    }
    var release: @Sendable (IdempotencyRecord?, OwnerToken, Timestamp) -> Transition<Bool> = {
        RecordTransitions.release($0, owner: $1, now: $2)
    }

    static let real = Rules()

    static let mutants: [String: Rules] = [
        "unfenced complete": Rules(complete: { record, owner, outcome, now in
            RecordTransitions.complete(
                record, owner: record?.owner ?? owner, outcome: outcome, keyTTL: Explorer.keyTTL, now: now)
        }),
        "unfenced renewal": Rules(renew: { record, owner, now in
            RecordTransitions.renew(
                record, owner: record?.owner ?? owner, lease: Explorer.lease, keyTTL: Explorer.keyTTL, now: now)
        }),
        "unfenced release": Rules(release: { record, owner, now in
            RecordTransitions.release(record, owner: record?.owner ?? owner, now: now)
        }),
        "takeover under a running lease": Rules(claim: { record, request, now in
            // Only at first, so that two clients do not take over from each other without end.
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
        "completion of an absent record": Rules(complete: { record, owner, outcome, now in
            var claim = Explorer.request(owner, .rerun)
            claim.owner = owner
            guard record == nil, case .write(let fresh) = RecordTransitions.claim(nil, claim, now: now).change else {
                return RecordTransitions.complete(
                    record, owner: owner, outcome: outcome, keyTTL: Explorer.keyTTL, now: now)
            }
            return RecordTransitions.complete(fresh, owner: owner, outcome: outcome, keyTTL: Explorer.keyTTL, now: now)
        }),
    ]
}

private struct Explorer {
    static let lease = Duration.seconds(10)
    static let keyTTL = Duration.seconds(1_000_000)

    static func request(_ owner: OwnerToken, _ rule: AbandonedRule) -> ClaimRequest {
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
        /// Whether a key was given back: then attempts count from 1 again.
        var hasReleased = false
        /// The first outcome that was stored.
        var stored: Outcome?
        /// What a single step did wrong.
        var flaw: String?
    }

    let rules: Rules
    let onAbandoned: AbandonedRule
    let owners: [OwnerToken]
    let leaseEnds: Int

    init(rules: Rules, onAbandoned: AbandonedRule, clients: Int, leaseEnds: Int) {
        self.rules = rules
        self.onAbandoned = onAbandoned
        self.owners = (0..<clients).map { _ in OwnerToken() }
        self.leaseEnds = leaseEnds
    }

    func explore() -> Findings {
        var findings = Findings()
        var seen: Set<World> = []
        var open = [World(clients: self.owners.map { _ in .claiming }, leaseEndsLeft: self.leaseEnds)]
        while let world = open.popLast() {
            guard seen.insert(world).inserted else { continue }
            findings.worlds += 1
            if world.stored != nil { findings.completedWorlds += 1 }
            if let violation = self.violation(in: world) {
                findings.violations.append(violation)
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
        if world.effects.count > 1 && (!hasLeaseEnded || self.onAbandoned == .refuse) {
            return "The operation had its effect twice: \(world)"
        }
        if Set(world.effects).count < world.effects.count && !world.hasReleased {
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
        return successors
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
            step.answer != .execute(attempt: world.record?.attempt ?? 0)
        {
            lost.flaw = "A lost reply locks its owner out: \(world)"
        }
        var heard = lost
        heard.clients[client] =
            switch step.answer {
            case .execute(let attempt): .running(attempt: attempt)
            case .replay(let outcome): .replayed(outcome)
            case .inProgress, .mismatch, .outcomeUnknown: .gone
            }
        return [lost, heard]
    }

    /// The reply may be lost: an owner that does not hear of its renewal goes on as before.
    private func renew(_ client: Int, in world: World) -> World {
        let step = self.rules.renew(world.record, self.owners[client], world.now)
        var renewed = self.applied(step.change, to: world)
        if step.answer && world.record?.owner != self.owners[client] {
            renewed.flaw = "Somebody who is not the owner renewed: \(world)"
        }
        return renewed
    }

    private func complete(_ client: Int, attempt: Int, in world: World) -> [World] {
        let outcome = Outcome.response(StoredResponse(status: .ok, body: [UInt8(client), UInt8(attempt)]))
        let step = self.rules.complete(world.record, self.owners[client], outcome, world.now)
        var lost = self.applied(step.change, to: world)
        if step.change != .none && lost.stored == nil { lost.stored = outcome }
        if step.answer && world.record?.owner != self.owners[client] {
            lost.flaw = "Somebody who is not the owner completed: \(world)"
        }
        return [lost, self.crash(client, in: lost)]
    }

    private func release(_ client: Int, in world: World) -> [World] {
        let step = self.rules.release(world.record, self.owners[client], world.now)
        var lost = self.applied(step.change, to: world)
        if step.change == .remove { lost.hasReleased = true }
        if step.answer && world.record?.owner != self.owners[client] {
            lost.flaw = "Somebody who is not the owner released: \(world)"
        }
        return [lost, self.crash(client, in: lost)]
    }

    private func applied(_ change: RecordChange, to world: World) -> World {
        var world = world
        change.apply(to: &world.record)
        return world
    }
}

import HTTPTypes
import Idemptx
import Synchronization

/// One process of a simulation: an engine, the operations that it guards, and the requests that it serves.
final class SimulatedProcess: Sendable {
    let slot: Int
    let life: ProcessLife
    private let plan: Plan
    /// One, but for a mutant.
    private let engines = Mutex<[Idempotency]>([])
    private let link: StoreLink
    private let history: History
    private let server: StoreServer
    private let mutant: Mutant?
    /// By the number of the request.
    private let tasks = Mutex<[Int: Task<Void, Never>]>([:])
    /// By the number of the request, for the mutant that cancels operations.
    private let operations = Mutex<[Int: ProcessLife]>([:])

    init(id: Int, slot: Int, plan: Plan, server: StoreServer, network: Network, history: History, mutant: Mutant?) {
        let life = ProcessLife(id: id)
        self.slot = slot
        self.life = life
        self.plan = plan
        self.history = history
        self.server = server
        self.mutant = mutant
        self.link = StoreLink(
            life: life, slot: slot, server: server, network: network, settings: plan.settings, history: history,
            mutant: mutant)
        server.add(self.link)
        history.begins(ProcessRecord(id: id, slot: slot, began: Scheduler.shared.now))
    }

    private var engine: Idempotency {
        self.engines.withLock { engines in
            if let engine = engines.last, self.mutant != .engineForEachRequest { return engine }
            let engine = self.makeEngine()
            engines.append(engine)
            return engine
        }
    }

    private func makeEngine() -> Idempotency {
        let recoverer = Recoverer(life: self.life, plan: self.plan, history: self.history)
        var policy = self.plan.settings.policy
        if self.plan.settings.rule == .recover { policy.onAbandoned = .recover { try await recoverer.recover($0) } }
        self.mutant?.change(&policy)
        return Idempotency(
            store: self.link, policy: policy, clock: SimulatedClock(life: self.life),
            leaseExecutor: self.mutant == .renewsOnPool ? LeaseExecutor.pool : LeaseExecutor.leases)
    }

    // MARK: Requests

    /// Serves a request; `respond` is called once with what the engine returned, unless the process dies before.
    func serve(_ id: Int, subject: Int, variant: Int, respond: @escaping @Sendable (ClientResponse) -> Void) {
        self.history.log(.arrives, self.life.id, id, "", "")
        self.history.change(id) { $0.arrived = Scheduler.shared.now }
        Scheduler.shared.perform(as: self.life.id) {
            let task = Task {
                let response = await self.response(to: id, subject: subject, variant: variant)
                self.history.log(.responds, self.life.id, id, response.description, "")
                self.history.change(id) { request in
                    request.responded = Scheduler.shared.now
                    request.response = response
                }
                self.tasks.withLock { $0[id] = nil }
                respond(response)
            }
            self.tasks.withLock { $0[id] = task }
        }
    }

    /// The client of a request has gone.
    func hangUp(_ id: Int) {
        let task = self.tasks.withLock { $0[id] }
        Scheduler.shared.perform(as: self.life.id) {
            task?.cancel()
            if self.mutant == .hangUpCancels { self.operations.withLock { $0[id] }?.end() }
        }
    }

    private func response(to id: Int, subject number: Int, variant: Int) async -> ClientResponse {
        guard !self.life.isOver else { return .none }
        let subject = self.plan.subjects[number]
        let engine = self.engine
        if self.mutant == .observingWaits, self.plan.settings.isObserving, let key = subject.storageKey {
            // A claim of no one, to see whether the store is there.
            _ = try? await self.link.claim(ClaimRequest(key: key, lease: .zero, timeout: .seconds(2)))
        }
        let response: ClientResponse
        switch subject.driver {
        case .http:
            let request = IncomingRequest(id: id, subject: number, variant: variant, key: subject.key)
            response = await self.response(to: request, from: subject, by: engine)
        case .function(let name):
            response = await self.result(of: id, number, variant, subject, name, by: engine)
        }
        if self.mutant == .runsAfterRefusal, response.problem == .requestInProgress {
            _ = try? await self.operation(for: id).run(id, number, variant, nil)
        }
        return response
    }

    private func response(
        to request: IncomingRequest, from subject: Subject, by engine: Idempotency
    ) async -> ClientResponse {
        let scope = self.mutant == .scopeLeftOut ? Scope.unscoped : subject.scope
        let operation = self.operation(for: request.id)
        do {
            let parts = try await engine.respond(
                to: request, through: SimulatedAdapter(), scope: { _ in scope },
                operation: { try await operation.run($0.id, $0.subject, $0.variant, $1).parts })
            return try await self.read(parts)
        } catch {
            return .none
        }
    }

    /// Takes all of a response, as a client does.
    private func read(_ parts: ResponseParts) async throws -> ClientResponse {
        switch parts.body {
        case .bytes(let bytes, _): return ClientResponse(parts.head, body: bytes)
        case .producer(_, let produce):
            let body = Mutex<[UInt8]>([])
            do {
                _ = try await produce { bytes in body.withLock { $0 += bytes } }
                return ClientResponse(parts.head, body: body.withLock { $0 })
            } catch {
                var response = ClientResponse(parts.head, body: body.withLock { $0 })
                response.isCut = true
                return response
            }
        }
    }

    private func result(
        of id: Int,
        _ number: Int,
        _ variant: Int,
        _ subject: Subject,
        _ name: String,
        by engine: Idempotency
    ) async -> ClientResponse {
        do {
            let name = self.mutant == .nameLeftOut ? "operation" : name
            let scope = self.mutant == .scopeLeftOut ? Scope.unscoped : subject.scope
            let operation = self.operation(for: id)
            let receipt = try await engine.run(
                name, key: subject.key, scope: scope, fingerprint: Fingerprint(ofBytes: Array("\(variant)".utf8))
            ) { context in
                let result = try await operation.run(id, number, variant, context)
                if result.parts.head.status.code >= 400 { throw OperationFailure(receipt: result.receipt) }
                return result.receipt
            }
            return ClientResponse(status: 200, receipt: receipt)
        } catch let problem as IdempotencyProblem {
            return ClientResponse(status: problem.status.code, problem: problem.kind)
        } catch let failure as OperationFailure {
            return ClientResponse(status: 500, receipt: failure.receipt)
        } catch {
            return .none
        }
    }

    private func operation(for request: Int) -> Operation {
        guard self.mutant == .hangUpCancels else {
            return Operation(life: self.life, plan: self.plan, server: self.server, history: self.history)
        }
        // A life of its own, which a hang-up ends.
        let life = ProcessLife(id: self.life.id)
        self.operations.withLock { $0[request] = life }
        return Operation(life: life, plan: self.plan, server: self.server, history: self.history)
    }

    // MARK: The end

    /// The process runs no more; what is left of it is freed.
    func die() {
        Scheduler.shared.perform(as: self.life.id) {
            // First, or what is repeated until it succeeds would be repeated for good.
            for engine in self.engines.withLock({ $0 }) { Task.immediate { await engine.drain(atMost: .zero) } }
            self.life.end()
            for task in self.tasks.withLock({ $0.sorted { $0.key < $1.key }.map(\.value) }) { task.cancel() }
        }
    }
}

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
    /// The tasks of operations, for the mutant that cancels them.
    private let operations = Mutex<[Int: ProcessLife]>([:])

    init(id: Int, slot: Int, plan: Plan, server: StoreServer, weather: Weather, history: History, mutant: Mutant?) {
        let life = ProcessLife(id: id)
        self.slot = slot
        self.life = life
        self.plan = plan
        self.history = history
        self.server = server
        self.mutant = mutant
        self.link = StoreLink(
            life: life, slot: slot, server: server, weather: weather, settings: plan.settings, history: history,
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

    /// Serves a request.
    ///
    /// - Parameters:
    ///   - id: Its number.
    ///   - respond: Called once with what the engine returned, unless the process dies before.
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
            _ = try? await self.operate(id, number, variant, nil)
        }
        return response
    }

    private func response(to request: IncomingRequest, from subject: Subject, by engine: Idempotency) async -> ClientResponse {
        let early = Resumption<ClientResponse>(of: self.life.id)
        do {
            let scope = self.mutant == .scopeLeftOut ? Scope.unscoped : subject.scope
            if self.mutant == .respondsBeforeEnd {
                Task { await self.respondLate(to: request, scope: scope, early) }
                return try await early.value()
            }
            let parts = try await engine.respond(to: request, through: SimulatedAdapter(), scope: { _ in scope }) {
                try await self.operate($0.id, $0.subject, $0.variant, $1).parts
            }
            return try await self.read(parts)
        } catch {
            return .none
        }
    }

    /// A mutant's way: the response is that of the operation, whatever becomes of it.
    private func respondLate(
        to request: IncomingRequest,
        scope: Scope,
        _ early: Resumption<ClientResponse>
    ) async {
        do {
            let parts = try await self.engine.respond(to: request, through: SimulatedAdapter(), scope: { _ in scope }) {
                let result = try await self.operate($0.id, $0.subject, $0.variant, $1)
                var response = ClientResponse(result.parts.head, body: result.receipt.body())
                response.marker = .new
                early.resume(.success(response))
                return result.parts
            }
            early.resume(.success(try await self.read(parts)))
        } catch {
            early.resume(.success(.none))
        }
    }

    /// Takes all of a response, as a client does.
    private func read(_ parts: ResponseParts) async throws -> ClientResponse {
        switch parts.body {
        case .bytes(let bytes, _): return ClientResponse(parts.head, body: bytes)
        case .producer(_, let produce):
            let body = Mutex<[UInt8]>([])
            do {
                _ = try await produce(BodySink { bytes in body.withLock { $0 += bytes } })
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
            let receipt = try await engine.run(
                name, key: subject.key, scope: scope, fingerprint: Fingerprint(ofBytes: Array("\(variant)".utf8))
            ) { context in
                let result = try await self.operate(id, number, variant, context)
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

    // MARK: Operations

    private struct OperationResult {
        let receipt: Receipt
        let parts: ResponseParts
    }

    /// The operation itself: waits, has its effect, waits, and responds.
    private func operate(
        _ request: Int,
        _ subject: Int,
        _ variant: Int,
        _ context: IdempotencyContext?
    ) async throws -> OperationResult {
        let record = self.plan.subjects[subject].storageKey.flatMap { self.server.record(of: $0) }
        let isProtected = context?.isLeaseHeld ?? false
        let execution = self.history.begins { id, ordinal in
            var random = SeededRandom(self.plan.seed, 0xB0, UInt64(ordinal))
            return Execution(
                id: id, request: request, subject: subject, variant: variant, process: self.life.id,
                attempt: context?.attempt ?? 0, behaviour: Behaviour(random: &random), started: Scheduler.shared.now,
                isProtected: isProtected, record: record)
        }
        let life = ProcessLife(id: self.life.id)
        if self.mutant == .hangUpCancels { self.operations.withLock { $0[request] = life } }
        let behaviour = execution.behaviour
        do {
            try await self.sleep(behaviour.before, behaviour, life)
            if behaviour.end.hasEffect { self.haveEffect(execution, context) }
            if behaviour.end != .streams { try await self.sleep(behaviour.after, behaviour, life) }
        } catch {
            self.history.log(.ends, self.life.id, execution.id, "cancelled", "")
            self.history.change(execution: execution.id) { $0.isCancelled = true }
            throw error
        }
        return try self.end(execution, context)
    }

    private func sleep(_ milliseconds: Int, _ behaviour: Behaviour, _ life: ProcessLife) async throws {
        guard milliseconds > 0 else { return }
        let isMutant = self.mutant == .hangUpCancels
        try await (isMutant ? life : self.life).sleep(
            milliseconds: milliseconds, ignoringCancellation: !behaviour.isCancellable)
    }

    private func haveEffect(_ execution: Execution, _ context: IdempotencyContext?) {
        let isHeld = context?.isLeaseHeld ?? false
        let record = self.plan.subjects[execution.subject].storageKey.flatMap { self.server.record(of: $0) }
        self.history.log(.hasEffect, self.life.id, execution.id, "attempt \(execution.attempt)", "")
        self.history.change(execution: execution.id) { execution in
            execution.effect = Scheduler.shared.now
            // Its own claim cannot have ended: it is still running.
            execution.hadFalseLease = isHeld && record?.owner != execution.record?.owner
        }
    }

    private func end(_ execution: Execution, _ context: IdempotencyContext?) throws -> OperationResult {
        let end = execution.behaviour.end
        let receipt = Receipt(execution: execution.id, subject: execution.subject, variant: execution.variant)
        switch end {
        case .releases: context?.release()
        case .marksUnknown: context?.markUnknown()
        case .leavesTombstone: context?.tombstone()
        case .throwsError:
            self.hasEnded(execution.id, end)
            throw OperationFailure(receipt: receipt)
        default: break
        }
        let head = HTTPResponse(status: HTTPResponse.Status(code: end.status))
        guard end == .streams else {
            self.hasEnded(execution.id, end)
            let size = end == .succeedsAtLength ? Settings.maxResponseBody + 1 : 0
            return OperationResult(
                receipt: receipt, parts: ResponseParts(head: head, body: .bytes(receipt.body(size: size))))
        }
        let body = receipt.body()
        return OperationResult(
            receipt: receipt,
            parts: ResponseParts(
                head: head,
                body: .producer(length: nil) { sink in
                    try await sink.write(Array(body.prefix(10)))
                    try await self.sleep(execution.behaviour.after, execution.behaviour, self.life)
                    try await sink.write(Array(body.dropFirst(10)))
                    self.hasEnded(execution.id, end)
                    return nil
                }))
    }

    private func hasEnded(_ execution: Int, _ end: Behaviour.End) {
        self.history.log(.ends, self.life.id, execution, "\(end)", "")
        self.history.change(execution: execution) { $0.ended = Scheduler.shared.now }
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

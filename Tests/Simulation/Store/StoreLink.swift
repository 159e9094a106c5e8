import Idemptx
import Synchronization

/// The store as one process sees it, over a network that the plan may harm.
final class StoreLink: IdempotencyStore {
    private struct State {
        var callCount: UInt64 = 0
        var lastListener = 0
        var listeners: [Int: (key: StorageKey, stream: AsyncStream<Void>.Continuation)] = [:]
        /// For mutants: what has failed before.
        var memory = Mutant.Memory()
    }

    let identity = StoreIdentity(name: "simulated")
    private let life: ProcessLife
    private let server: StoreServer
    private let network: Network
    private let settings: Settings
    private let history: History
    private let mutant: Mutant?
    private let slot: Int
    private let state = Mutex(State())

    init(
        life: ProcessLife,
        slot: Int,
        server: StoreServer,
        network: Network,
        settings: Settings,
        history: History,
        mutant: Mutant?
    ) {
        self.life = life
        self.slot = slot
        self.server = server
        self.network = network
        self.settings = settings
        self.history = history
        self.mutant = mutant
    }

    // MARK: The contract

    func claim(_ request: ClaimRequest) async throws -> ClaimResult<Claim> {
        self.history.claimBegins(request, process: self.life.id)
        defer { self.history.claimEnds(request, process: self.life.id) }
        let start = Scheduler.shared.now
        let timeout = request.timeout.map(\.milliseconds)
        let call = StoreCall.claim(request, notAfter: timeout.map { start + $0 })
        let reply: StoreReply
        do {
            reply = try await self.send(call, timeout: timeout ?? self.settings.callTimeout)
        } catch let error as StoreError where self.mutant == .lostClaimIsForgotten {
            throw StoreError(.unavailable, error.message)
        }
        if self.mutant == .startsUnderOldLease {
            self.life.hide(milliseconds: start.distance(to: Scheduler.shared.now))
        }
        guard case .claim(let result) = reply else { throw StoreError(.corruptRecord, "No reply to a claim.") }
        if self.mutant == .waiterFailsOnRelease, self.history.wasReleasedJustNow(request.key) {
            throw StoreError(.corruptRecord, "A mutant fails on a release.")
        }
        return result.map { Claim(granting: request, $0) }
    }

    func renew(_ claim: borrowing Claim, lease: Duration) async throws -> Bool {
        try await self.settle(.renew(StoreCall.Holder(claim), lease: lease))
    }

    func complete(_ claim: borrowing Claim, with outcome: Outcome, keyTTL: Duration) async throws -> Bool {
        try await self.settle(.complete(StoreCall.Holder(claim), outcome, keyTTL: keyTTL))
    }

    func release(_ claim: borrowing Claim) async throws -> Bool {
        try await self.settle(.release(StoreCall.Holder(claim)))
    }

    private func settle(_ call: StoreCall) async throws -> Bool {
        if let reply = try await self.mutantReply(to: call) { return reply }
        do {
            guard case .isDone(let isDone) = try await self.send(call, timeout: self.settings.callTimeout) else {
                return false
            }
            self.state.withLock { $0.memory.noteReply(isDone, to: call) }
            return isDone
        } catch {
            self.state.withLock { $0.memory.noteFailure(of: call) }
            return try Mutant.result(self.mutant, of: call, after: error)
        }
    }

    /// What a mutant replies instead of the store.
    private func mutantReply(to call: StoreCall) async throws -> Bool? {
        guard let mutant = self.mutant else { return nil }
        switch self.state.withLock({ mutant.shortcut(for: call, $0.memory) }) {
        case nil: return nil
        case .reply(let isDone): return isDone
        case .replyBeforeSending(let isDone):
            Task { _ = try? await self.send(call, timeout: self.settings.callTimeout) }
            return isDone
        case .error(let error): throw error
        case .silence:
            return try await self.life.wait(for: Resumption<Bool>(of: self.life.id))
        }
    }

    // MARK: Messages

    /// After how many milliseconds a broken connection is noticed.
    private static let resetDelay = 2

    private func send(_ call: StoreCall, timeout: Int) async throws -> StoreReply {
        let number = self.state.withLock { state in
            state.callCount += 1
            return state.callCount
        }
        let start = Scheduler.shared.now
        let fate = self.network.fate(of: number, process: self.life.id, slot: self.slot, at: start)
        let reply = Resumption<StoreReply>(of: self.life.id)
        let record = self.history.begins(call, number: number, process: self.life.id, fate: fate.description)
        Scheduler.shared.schedule(at: start + timeout) {
            reply.resume(.failure(StoreError(.replyLost, "The store did not reply in time.")))
        }
        if fate.isRefused {
            Scheduler.shared.schedule(at: start + fate.requestDelay) {
                reply.resume(.failure(StoreError(.unavailable, "The connection was refused.")))
            }
            return try await self.reply(to: number, record, by: reply)
        }
        if fate.isReset {
            Scheduler.shared.schedule(at: start + Self.resetDelay) {
                reply.resume(.failure(StoreError(.replyLost, "The connection was reset.")))
            }
        }
        if !fate.losesRequest {
            Scheduler.shared.schedule(at: start + fate.requestDelay) {
                self.arrive(call, fate, reply)
            }
        }
        return try await self.reply(to: number, record, by: reply)
    }

    private func reply(
        to number: UInt64, _ record: Int, by reply: Resumption<StoreReply>
    ) async throws -> StoreReply {
        do {
            let result = try await self.life.wait(for: reply, ignoringCancellation: !self.settings.cancelsCalls)
            self.history.ends(record, with: result)
            self.history.log(.receivesReply, self.life.id, Int(number), result.description, "")
            return result
        } catch {
            self.history.log(.missesReply, self.life.id, Int(number), "\(error)", "")
            throw error
        }
    }

    private func arrive(_ call: StoreCall, _ fate: Network.Fate, _ resumption: Resumption<StoreReply>) {
        let (life, server) = (self.life, self.server)
        server.receive(call, from: life.id) { result in
            guard !fate.isRepeated else {
                // The client of the store has lost the connection, and sends the call once more.
                let again = Scheduler.shared.now + fate.repetitionDelay
                Scheduler.shared.schedule(at: again) {
                    server.receive(call, from: life.id) { result in self.reply(result, fate, resumption) }
                }
                return
            }
            self.reply(result, fate, resumption)
        }
    }

    private func reply(
        _ result: Result<StoreReply, any Error>, _ fate: Network.Fate, _ resumption: Resumption<StoreReply>
    ) {
        let arrival = Scheduler.shared.now + fate.replyDelay
        guard !fate.losesReply, !self.network.isCut(self.slot, at: Scheduler.shared.now) else { return }
        Scheduler.shared.schedule(at: arrival) { resumption.resume(result) }
    }

    // MARK: Hints

    func changes(of key: StorageKey) -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let id = self.state.withLock { state in
            state.lastListener += 1
            state.listeners[state.lastListener] = (key, continuation)
            return state.lastListener
        }
        continuation.onTermination = { [weak self] _ in self?.removeListener(id) }
        return stream
    }

    private func removeListener(_ id: Int) {
        self.state.withLock { state in
            state.listeners[id] = nil
        }
    }

    /// A record has changed.
    func hint(_ key: StorageKey) {
        guard self.settings.hintsOthers, !self.network.isCut(self.slot, at: Scheduler.shared.now) else { return }
        Scheduler.shared.schedule(at: Scheduler.shared.now + 2) {
            let listeners = self.state.withLock { state in
                state.listeners.sorted { $0.key < $1.key }.filter { $0.value.key == key }.map(\.value.stream)
            }
            Scheduler.shared.perform(as: self.life.id) { for listener in listeners { listener.yield() } }
        }
    }
}

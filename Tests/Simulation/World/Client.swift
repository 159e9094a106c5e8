import Synchronization

/// A client that wants something, and asks again until it has it.
final class Client: Sendable {
    private let wish: Int
    private let request: Plan.PlannedRequest
    private let slotCount: Int
    private let world: World
    private let state: Mutex<State>

    private struct State {
        var triesLeft: Int
        var slot: Int
        var mayDoubt: Bool
        /// The request that it waits for.
        var current: Int?
    }

    private static let networkDelay = 2

    init(wish: Int, _ request: Plan.PlannedRequest, slotCount: Int, world: World) {
        self.wish = wish
        self.request = request
        self.slotCount = slotCount
        self.world = world
        self.state = Mutex(State(triesLeft: request.retries, slot: request.slot, mayDoubt: request.doubts))
    }

    /// A client that asks once, after all is over.
    convenience init(asking subject: Int, variant: Int, world: World) {
        let request = Plan.PlannedRequest(asking: subject, variant: variant)
        self.init(wish: -1, request, slotCount: 1, world: world)
    }

    func send() {
        let slot = self.state.withLock { $0.slot }
        guard let process = self.world.process(in: slot) else { return self.retry() }
        let history = self.world.history
        let id = history.sends(
            wish: self.wish, subject: self.request.subject, variant: self.request.variant, process: process.life.id)
        self.state.withLock { $0.current = id }
        let scheduler = Scheduler.shared
        scheduler.schedule(at: scheduler.now + Self.networkDelay) {
            guard self.world.process(in: slot) === process else { return }
            process.serve(id, subject: self.request.subject, variant: self.request.variant) { response in
                scheduler.schedule(at: scheduler.now + Self.networkDelay) { self.receive(response, to: id) }
            }
        }
        scheduler.schedule(at: scheduler.now + self.request.timeout) { self.giveUp(id, on: process) }
    }

    private func receive(_ response: ClientResponse, to id: Int) {
        guard self.stopsWaiting(for: id) else { return }
        self.world.history.log(.receives, self.wish, id, response.description, "")
        self.world.history.change(id) { $0.received = Scheduler.shared.now }
        if response.isTransient { return self.retry() }
        let mayDoubt = self.state.withLock { state in
            defer { state.mayDoubt = false }
            return state.mayDoubt
        }
        if mayDoubt { self.retry(isFree: true) }
    }

    private func giveUp(_ id: Int, on process: SimulatedProcess) {
        guard self.stopsWaiting(for: id) else { return }
        self.world.history.log(.hangsUp, self.wish, id, "", "")
        self.world.history.change(id) { $0.hungUp = Scheduler.shared.now }
        if self.request.cancels { process.hangUp(id) }
        self.retry()
    }

    /// - Returns: Whether it was waiting for this request.
    private func stopsWaiting(for id: Int) -> Bool {
        self.state.withLock { state in
            guard state.current == id else { return false }
            state.current = nil
            return true
        }
    }

    private func retry(isFree: Bool = false) {
        guard Scheduler.shared.now.milliseconds + self.request.gap < Plan.horizon else { return }
        let mayRetry = self.state.withLock { state in
            if self.request.moves { state.slot = (state.slot + 1) % self.slotCount }
            guard !isFree else { return true }
            state.triesLeft -= 1
            return state.triesLeft >= 0
        }
        guard mayRetry else { return }
        Scheduler.shared.schedule(at: Scheduler.shared.now + self.request.gap) { self.send() }
    }
}

import Logging
import Synchronization

/// The subscriptions of a client.
///
/// A channel is subscribed to once, however many listen. After trouble, the routes are found out anew.
final class Subscriptions: SubscriptionListener {
    private typealias Listener = SubscriptionTable.Listener

    // Connections are called under the lock, so that they are told in the order of the decisions. They only take note.
    private let table: Mutex<SubscriptionTable>
    private let route: @Sendable (String) -> SubscriptionRoute?
    private let repair: (@Sendable () async -> Void)?
    private let backoff: Backoff
    private let logger: Logger

    /// - Parameters:
    ///   - configuration: The limit, the pauses between repairs, and the logger.
    ///   - repair: Finds out anew what `route` knows; `nil` if that never changes.
    ///   - route: By which way a channel's messages come, as far as is known.
    init(
        _ configuration: RedisConfiguration,
        repair: (@Sendable () async -> Void)? = nil,
        route: @escaping @Sendable (String) -> SubscriptionRoute?
    ) {
        self.table = Mutex(SubscriptionTable(limit: configuration.maximumSubscriptions))
        self.route = route
        self.repair = repair
        self.backoff = configuration.backoff
        self.logger = configuration.logger
    }

    deinit {
        self.close()
    }

    /// See ``RedisClient/subscribe(to:)``.
    func subscribe(to name: String) -> AsyncStream<Void> {
        let (stream, listener) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let id = self.table.withLock { table in
            let id = table.add(listener, to: name)
            if id != nil { self.settle(name, &table) }
            return id
        }
        guard let id else {
            listener.finish()
            return stream
        }
        listener.onTermination = { [weak self] _ in self?.remove(id, from: name) }
        self.repairIfNeeded()
        return stream
    }

    /// Ends all streams.
    func close() {
        for listener in self.table.withLock({ $0.close() }) { listener.finish() }
    }

    func handle(_ event: SubscriptionEvent, from connection: SubscriptionConnection) {
        switch event {
        case .subscribed(let channel): self.hint { $0.confirm(channel, at: connection) }
        case .published(let channel): self.hint { $0.listeners(of: channel.name) }
        case .dislodged(let channel): self.hint { $0.dislodge(channel, from: connection) }
        case .interrupted: self.hint { $0.interrupt(connection) }
        case .unreachable: self.table.withLock { $0.doubt() }
        case .refused(let channel, let error): self.refused(channel, error, connection)
        }
        self.repairIfNeeded()
    }

    private func hint(_ change: (inout SubscriptionTable) -> [Listener]) {
        for listener in self.table.withLock({ change(&$0) }) { listener.yield() }
    }

    private func refused(_ channel: SubscriptionChannel, _ error: ServerError, _ connection: SubscriptionConnection) {
        if self.repair != nil, ["MOVED", "CLUSTERDOWN", "TRYAGAIN"].contains(error.code) {
            return self.hint { $0.dislodge(channel, from: connection) }
        }
        self.logger.info("A subscription was refused", metadata: ["redis.error": "\(error.code)"])
        for listener in self.table.withLock({ $0.drop(channel, from: connection) }) { listener.finish() }
    }

    private func remove(_ id: Int, from name: String) {
        self.table.withLock { table in
            guard let route = table.remove(id, from: name) else { return }
            route.connection.unwant(SubscriptionChannel(name: name, isSharded: route.isSharded))
        }
    }

    private func settle(_ name: String, _ table: inout SubscriptionTable) {
        let (old, new) = table.setRoute(self.route(name), of: name)
        if let old { old.connection.unwant(SubscriptionChannel(name: name, isSharded: old.isSharded)) }
        if let new { new.connection.want(SubscriptionChannel(name: name, isSharded: new.isSharded), for: self) }
    }

    private func repairIfNeeded() {
        guard let repair = self.repair, self.table.withLock({ $0.beginRepair() }) else { return }
        // All subscribers need the repair, so that it belongs to the task of none of them.
        Task {
            var rounds = 0
            while self.table.withLock({ $0.continueRepair() }) {
                rounds += 1
                // This task is never cancelled; a failed sleep is only too short.
                try? await self.backoff.sleep(self.backoff.pause(after: rounds))
                await repair()
                self.table.withLock { table in
                    for name in table.names { self.settle(name, &table) }
                }
            }
        }
    }
}

/// Who listens to which channel, and by which route.
struct SubscriptionTable {
    typealias Listener = AsyncStream<Void>.Continuation

    private struct Entry {
        var listeners: [Int: Listener] = [:]
        var route: SubscriptionRoute?
        /// Whether every message comes from now on.
        var isConfirmed = false
    }

    private let limit: Int
    private var entries: [String: Entry] = [:]
    private var nextID = 0
    private var isClosed = false
    private var isRepairing = false
    /// Whether there are channels whose route is unknown or in doubt.
    private var needsRepair = false

    /// - Parameter limit: How many channels there may be.
    init(limit: Int) {
        self.limit = limit
    }

    var names: [String] { Array(self.entries.keys) }

    /// - Returns: The name by which the listener can be removed; `nil` if there are too many channels.
    mutating func add(_ listener: Listener, to name: String) -> Int? {
        guard !self.isClosed, self.entries[name] != nil || self.entries.count < self.limit else { return nil }
        self.nextID += 1
        self.entries[name, default: Entry()].listeners[self.nextID] = listener
        if self.entries[name]?.isConfirmed == true { listener.yield() }
        return self.nextID
    }

    /// - Returns: The route that has no listeners left.
    mutating func remove(_ id: Int, from name: String) -> SubscriptionRoute? {
        self.entries[name]?.listeners[id] = nil
        guard let entry = self.entries[name], entry.listeners.isEmpty else { return nil }
        self.entries[name] = nil
        return entry.route
    }

    /// - Returns: What to leave and what to enter instead, if the route has changed.
    mutating func setRoute(
        _ route: SubscriptionRoute?, of name: String
    ) -> (old: SubscriptionRoute?, new: SubscriptionRoute?) {
        if route == nil { self.needsRepair = true }
        guard let old = self.entries[name]?.route, old == route else {
            let old = self.entries[name]?.route
            self.entries[name]?.route = route
            self.entries[name]?.isConfirmed = false
            return (old, route)
        }
        return (nil, nil)
    }

    mutating func confirm(_ channel: SubscriptionChannel, at connection: SubscriptionConnection) -> [Listener] {
        // It may come too late, by a route that has been left.
        guard self.isRouted(channel, by: connection) else { return [] }
        self.entries[channel.name]?.isConfirmed = true
        return self.listeners(of: channel.name)
    }

    func listeners(of name: String) -> [Listener] {
        self.entries[name].map { Array($0.listeners.values) } ?? []
    }

    /// Notes that a connection's subscriptions are lost for a while.
    mutating func interrupt(_ connection: SubscriptionConnection) -> [Listener] {
        self.needsRepair = true
        return self.entries.keys.filter { self.entries[$0]?.route?.connection === connection }.flatMap {
            self.unconfirm($0)
        }
    }

    /// Notes that a channel's messages do not come by a connection, or no longer.
    mutating func dislodge(_ channel: SubscriptionChannel, from connection: SubscriptionConnection) -> [Listener] {
        guard self.isRouted(channel, by: connection) else { return [] }
        self.needsRepair = true
        self.entries[channel.name]?.route = nil
        return self.unconfirm(channel.name)
    }

    /// - Returns: Those who have relied on the subscription.
    private mutating func unconfirm(_ name: String) -> [Listener] {
        guard self.entries[name]?.isConfirmed == true else { return [] }
        self.entries[name]?.isConfirmed = false
        return self.listeners(of: name)
    }

    /// Forgets a channel that cannot be subscribed to.
    mutating func drop(_ channel: SubscriptionChannel, from connection: SubscriptionConnection) -> [Listener] {
        guard self.isRouted(channel, by: connection) else { return [] }
        defer { self.entries[channel.name] = nil }
        return self.listeners(of: channel.name)
    }

    mutating func doubt() {
        self.needsRepair = true
    }

    /// - Returns: Whether a repair has to begin.
    mutating func beginRepair() -> Bool {
        guard self.needsRepair, !self.isRepairing, !self.entries.isEmpty else { return false }
        self.isRepairing = true
        return true
    }

    /// - Returns: Whether the repair has to go on.
    mutating func continueRepair() -> Bool {
        self.isRepairing = self.needsRepair && !self.entries.isEmpty
        self.needsRepair = false
        return self.isRepairing
    }

    mutating func close() -> [Listener] {
        defer { self.entries = [:] }
        self.isClosed = true
        return self.entries.values.flatMap { $0.listeners.values }
    }

    private func isRouted(_ channel: SubscriptionChannel, by connection: SubscriptionConnection) -> Bool {
        self.entries[channel.name]?.route == SubscriptionRoute(connection: connection, isSharded: channel.isSharded)
    }
}

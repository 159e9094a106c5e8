import NIOCore

/// Which connection serves which request: a state machine without connections, clocks or sockets.
///
/// The connection that was used last is used first: it is the likeliest to be alive, and the others can be let go.
struct ConnectionPoolState<Connection: AnyObject, Waiter: AnyObject> {
    struct Idle {
        let connection: Connection
        let since: NIODeadline
    }

    struct Waiting {
        let waiter: Waiter
        /// Whether it has to be a connection that has not been used.
        let needsFresh: Bool
        let deadline: NIODeadline
    }

    private(set) var idle: [Idle] = []
    private(set) var waiting = CircularBuffer<Waiting>()
    private(set) var connecting = 0

    /// Takes the idle connection that was used last.
    mutating func takeIdle() -> Idle? { self.idle.popLast() }

    mutating func wait(_ waiter: Waiter, needsFresh: Bool, deadline: NIODeadline) {
        self.waiting.append(Waiting(waiter: waiter, needsFresh: needsFresh, deadline: deadline))
    }

    /// The request does not need the connection any more.
    mutating func cancel(_ waiter: Waiter) {
        self.waiting.removeAll { $0.waiter === waiter }
    }

    /// How many more connections are to be made.
    var missing: Int { self.waiting.count - self.connecting }

    mutating func connectionBegan() { self.connecting += 1 }

    /// A connection has been made.
    ///
    /// - Returns: Whom it serves; `nil` if it is idle now.
    mutating func connected(_ connection: Connection, now: NIODeadline) -> Waiter? {
        self.connecting -= 1
        if let first = self.waiting.popFirst() { return first.waiter }
        self.idle.append(Idle(connection: connection, since: now))
        return nil
    }

    /// A connection could not be made.
    ///
    /// - Returns: Who is not served; `nil` if others are being made for all that wait.
    mutating func connectingFailed() -> Waiter? {
        self.connecting -= 1
        return self.missing > 0 ? self.waiting.popFirst()?.waiter : nil
    }

    /// A connection has served a request.
    ///
    /// - Returns: Whom it serves next; `nil` if it is idle now.
    mutating func released(_ connection: Connection, now: NIODeadline) -> Waiter? {
        if let index = self.waiting.firstIndex(where: { !$0.needsFresh }) {
            return self.waiting.remove(at: index).waiter
        }
        self.idle.append(Idle(connection: connection, since: now))
        return nil
    }

    mutating func closed(_ connection: Connection) {
        self.idle.removeAll { $0.connection === connection }
    }

    /// - Returns: The connections that have been idle since before `limit`, which are to be closed.
    mutating func expireIdle(before limit: NIODeadline) -> [Connection] {
        // The oldest come first.
        let count = self.idle.prefix { $0.since < limit }.count
        defer { self.idle.removeFirst(count) }
        return self.idle.prefix(count).map(\.connection)
    }

    /// - Returns: Those that have waited for too long.
    mutating func expireWaiting(now: NIODeadline) -> [Waiter] {
        let late = self.waiting.filter { $0.deadline <= now }.map(\.waiter)
        if !late.isEmpty { self.waiting.removeAll { $0.deadline <= now } }
        return late
    }

    /// - Returns: All idle connections and all that wait, none of whom belongs to the pool any more.
    mutating func drain() -> (connections: [Connection], waiters: [Waiter]) {
        defer {
            self.idle = []
            self.waiting = []
        }
        return (self.idle.map(\.connection), self.waiting.map(\.waiter))
    }
}

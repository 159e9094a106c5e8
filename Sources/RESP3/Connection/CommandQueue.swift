import NIOCore

/// The commands of one connection that have no reply yet, in their order: first those that were sent, then those that
/// were not.
///
/// Commands that belong together form one entry and stay together. None goes ahead of others: each is sent as soon as the
/// connection takes it, and the server replies in this order whatever is sent first.
///
/// On a connection for calls that end with a `WAIT`, those that come in the meantime leave together when it is over, with
/// one `WAIT` for all of them: it is about everything that the connection has written.
struct CommandQueue<Waiter> {
    struct Limits {
        let commands: Int
        let bytes: Int
        /// How many entries may have been sent and have no reply yet.
        let inFlight: Int

        init(commands: Int, bytes: Int, inFlight: Int = .max) {
            self.commands = commands
            self.bytes = bytes
            self.inFlight = inFlight
        }
    }

    struct Entry {
        fileprivate(set) var id: Int = 0
        let commands: [RedisCommand]
        let size: Int
        /// When the waiter stops waiting.
        let deadline: NIODeadline
        /// `nil` once the waiter has left; the replies are dropped then.
        fileprivate(set) var waiter: Waiter?
        /// When the connection is given up: not before the deadlines of those ahead.
        fileprivate var lastResort: NIODeadline
        fileprivate(set) var replies: [RESPValue] = []

        init(_ commands: [RedisCommand], deadline: NIODeadline, waiter: Waiter) {
            self.commands = commands
            self.size = commands.reduce(0) { $0 + $1.encodedSize }
            self.deadline = deadline
            self.waiter = waiter
            self.lastResort = deadline
        }
    }

    private let limits: Limits
    private let sharesWaits: Bool
    private var sent = CircularBuffer<Entry>()
    private var unsent = CircularBuffer<Entry>()
    private var nextID = 1
    private var commandCount = 0
    private var byteCount = 0

    /// - Parameters:
    ///   - limits: How much may be queued.
    ///   - sharesWaits: Whether each entry ends with a `WAIT`.
    init(limits: Limits, sharesWaits: Bool = false) {
        self.limits = limits
        self.sharesWaits = sharesWaits
    }

    var hasSent: Bool { !self.sent.isEmpty }
    var hasUnsent: Bool { !self.unsent.isEmpty }

    /// - Returns: The name under which the entry can be cancelled; `nil` if the queue is full.
    mutating func append(_ entry: Entry) -> Int? {
        guard self.commandCount + entry.commands.count <= self.limits.commands,
            self.byteCount + entry.size <= self.limits.bytes
        else { return nil }
        self.commandCount += entry.commands.count
        self.byteCount += entry.size
        var entry = entry
        entry.id = self.nextID
        self.nextID += 1
        self.unsent.append(entry)
        return entry.id
    }

    /// The first commands that were not sent, up to about so many bytes, which are taken as sent from now on.
    mutating func send(upTo size: Int) -> [RedisCommand] {
        // Until a wait is over, the server sends no reply.
        if self.sharesWaits, self.hasSent { return [] }
        var commands: [RedisCommand] = []
        var taken = 0
        let wait = self.sharesWaits ? self.unsent.first?.commands.last : nil
        while taken < size, self.sent.count < self.limits.inFlight, let next = self.unsent.first,
            wait == nil || next.commands.last == wait
        {
            var entry = self.unsent.removeFirst()
            commands += entry.commands.dropLast(wait == nil ? 0 : 1)
            taken += entry.size
            entry.lastResort = max(entry.deadline, self.sent.last?.lastResort ?? entry.deadline)
            self.sent.append(entry)
        }
        return commands + [wait].compactMap { $0 }
    }

    enum Acceptance {
        /// There is no command for the reply.
        case unexpected
        case partial
        /// All replies of some entries are there.
        case complete([Entry])
    }

    mutating func accept(_ reply: RESPValue) -> Acceptance {
        if self.sharesWaits { return self.acceptSharingWait(reply) }
        guard var head = self.sent.popFirst() else { return .unexpected }
        head.replies.append(reply)
        guard head.replies.count == head.commands.count else {
            self.sent.prepend(head)
            return .partial
        }
        self.remove(head)
        return .complete([head])
    }

    /// Each entry gets its replies in turn, and then all of them that to the `WAIT`.
    private mutating func acceptSharingWait(_ reply: RESPValue) -> Acceptance {
        if self.sent.isEmpty { return .unexpected }
        if let index = self.sent.firstIndex(where: { $0.replies.count < $0.commands.count - 1 }) {
            self.sent[index].replies.append(reply)
            return .partial
        }
        var entries = Array(self.sent)
        self.sent.removeAll()
        for index in entries.indices {
            entries[index].replies.append(reply)
            self.remove(entries[index])
        }
        return .complete(entries)
    }

    /// - Returns: The waiter, unless it has its reply.
    mutating func cancel(_ id: Int) -> Waiter? {
        if let index = Self.index(of: id, in: self.unsent) {
            let entry = self.unsent.remove(at: index)
            self.remove(entry)
            return entry.waiter
        }
        guard let index = Self.index(of: id, in: self.sent) else { return nil }
        defer { self.sent[index].waiter = nil }
        return self.sent[index].waiter
    }

    mutating func failSent() -> [Waiter] {
        let entries = self.sent
        self.sent.removeAll()
        return self.waiters(removing: entries)
    }

    mutating func failUnsent() -> [Waiter] {
        let entries = self.unsent
        self.unsent.removeAll()
        return self.waiters(removing: entries)
    }

    private mutating func waiters(removing entries: CircularBuffer<Entry>) -> [Waiter] {
        for entry in entries { self.remove(entry) }
        return entries.compactMap(\.waiter)
    }

    private mutating func remove(_ entry: Entry) {
        self.commandCount -= entry.commands.count
        self.byteCount -= entry.size
    }

    /// Entries are sorted by their identifiers.
    private static func index(of id: Int, in entries: CircularBuffer<Entry>) -> CircularBuffer<Entry>.Index? {
        var (low, high) = (0, entries.count)
        while low < high {
            let middle = (low + high) / 2
            if entries[offset: middle].id < id { low = middle + 1 } else { high = middle }
        }
        let index = entries.index(entries.startIndex, offsetBy: low)
        return low < entries.count && entries[index].id == id ? index : nil
    }
}

extension CommandQueue {
    /// When ``expire(_:)`` has something to do next.
    var nextDeadline: NIODeadline? {
        let waiting = [self.sent, self.unsent].joined().lazy.filter { $0.waiter != nil }.map(\.deadline).min()
        return [waiting, self.lastResort].compactMap { $0 }.min()
    }

    /// When the reply that comes next is so late that none can be expected; a shared one is that of the latest deadline.
    private var lastResort: NIODeadline? {
        self.sharesWaits ? self.sent.last?.lastResort : self.sent.first?.lastResort
    }

    /// Whether the reply that comes next is so late that none can be expected.
    func isOverdue(_ now: NIODeadline) -> Bool {
        self.lastResort.map { $0 <= now } ?? false
    }

    /// Moves the moment at which the connection is given up: it has shown a sign of life.
    mutating func postponeLastResort(until deadline: NIODeadline) {
        guard let index = self.sharesWaits ? self.sent.indices.last : self.sent.indices.first else { return }
        self.sent[index].lastResort = max(self.sent[index].lastResort, deadline)
    }

    /// Lets those leave whose time is over.
    mutating func expire(_ now: NIODeadline) -> (sent: [Waiter], unsent: [Waiter]) {
        var late: [Waiter] = []
        var index = self.sent.startIndex
        while index != self.sent.endIndex {
            if self.sent[index].deadline <= now, let waiter = self.sent[index].waiter {
                late.append(waiter)
                self.sent[index].waiter = nil
            }
            index = self.sent.index(after: index)
        }
        guard self.unsent.contains(where: { $0.deadline <= now }) else { return (late, []) }
        let expired = self.unsent.filter { $0.deadline <= now }
        self.unsent = CircularBuffer(self.unsent.filter { $0.deadline > now })
        return (late, self.waiters(removing: CircularBuffer(expired)))
    }
}

extension CommandQueue.Entry: Sendable where Waiter: Sendable {}

import Dispatch
import GRDB
import Idemptx
import Synchronization

/// Writes what arrives at the same time in one transaction: group commit.
///
/// While one transaction is being committed, the next calls gather, and share the next one. Each of them learns its
/// result only after the commit. Nothing that a caller does, such as being cancelled, interrupts a transaction.
///
/// Calls are taken in the order of their priority, and once the transaction has begun: as long as another process keeps
/// the file locked, they wait where their deadline can still call them off.
final class GroupWriter: Sendable {
    struct Limits: Sendable {
        /// How long a call takes at most.
        var timeout = Duration.seconds(5)
        /// How many calls wait at most, of each priority.
        var pendingCalls = 8192
        /// How many calls share a transaction at most.
        var groupSize = 256
        /// How long a transaction goes on taking calls.
        var groupTime = Duration.milliseconds(20)
        /// How many transactions follow each other before others may use the connection.
        var groupsPerTurn = 16
    }

    private struct Queue {
        /// By priority.
        var waiting = Array(repeating: CallQueue(), count: 3)
        /// Those in the transaction that is under way.
        var group: [any PendingCall] = []
        var isWriting = false
        var isWatching = false
        var groupCount = 0

        var waitingCount: Int { self.waiting.reduce(0) { $0 + $1.count } }
    }

    /// After so many transactions work of low priority gets one, however much else there is to do.
    private static let backgroundShare = 16

    private let writer: any DatabaseWriter
    private let file: DatabaseFile?
    private let limits: Limits
    private let queue = Mutex(Queue())

    /// - Parameters:
    ///   - writer: The connection.
    ///   - file: The file; nothing is written while it is not in its place.
    ///   - limits: The limits.
    init(_ writer: any DatabaseWriter, file: DatabaseFile? = nil, limits: Limits = Limits()) {
        self.writer = writer
        self.file = file
        self.limits = limits
    }

    /// How many calls wait for a transaction.
    var pendingCount: Int { self.queue.withLock { $0.waitingCount } }

    /// Runs `work` inside a transaction that others may share.
    ///
    /// - Parameters:
    ///   - priority: What goes first.
    ///   - timeout: How long the caller waits, if that is less than the limit.
    ///   - work: Writes that do not fail half-way and leave a part to the transaction of the others.
    /// - Returns: What `work` returned, once that is committed.
    /// - Throws: What `work` throws, or `StoreError`; nothing is committed then, unless its code is `replyLost`.
    func perform<Value: Sendable>(
        priority: TransactionPriority,
        timeout: Duration? = nil,
        _ work: @escaping @Sendable (Database) throws -> Value
    ) async throws(StoreError) -> Value {
        let result = await withCheckedContinuation { continuation in
            let timeout = min(timeout ?? self.limits.timeout, self.limits.timeout)
            let call = Call(deadline: ContinuousClock.now + timeout, work: work, continuation: continuation)
            self.enqueue(call, priority: priority)
        }
        return try result.get()
    }

    private func enqueue(_ call: any PendingCall, priority: TransactionPriority) {
        let (isTaken, startsWriting, startsWatching) = self.queue.withLock { queue in
            guard queue.waiting[priority.rawValue].count < self.limits.pendingCalls else {
                return (false, false, false)
            }
            queue.waiting[priority.rawValue].append(call)
            defer { (queue.isWriting, queue.isWatching) = (true, true) }
            return (true, !queue.isWriting, !queue.isWatching)
        }
        if !isTaken {
            return call.fail(StoreError(.unavailable, "Too many calls wait for SQLite."))
        }
        if startsWriting { self.startWriting() }
        if startsWatching { self.watchLater() }
    }

    private func startWriting() {
        self.writer.asyncWriteWithoutTransaction { db in self.writeGroups(db) }
    }

    // MARK: Writing

    private func writeGroups(_ db: Database) {
        for _ in 0..<self.limits.groupsPerTurn {
            guard self.goesOn() else { return }
            self.writeGroup(db)
        }
        if self.goesOn() { self.startWriting() }
    }

    /// Whether calls wait; if not, the next one starts writing again.
    private func goesOn() -> Bool {
        self.queue.withLock { queue in
            queue.isWriting = queue.waitingCount > 0
            return queue.isWriting
        }
    }

    private func writeGroup(_ db: Database) {
        guard self.file?.isInPlace != false else { return self.failWaiting(.fileIsGone) }
        do {
            // One that could not be rolled back when it failed.
            if db.isInsideTransaction { try db.rollback() }
            try db.beginTransaction(.immediate)
        } catch let error as DatabaseError where error.resultCode == .SQLITE_BUSY {
            // Another process writes. The calls wait until their deadlines.
            self.callOffOverdue(writing: false)
            Database.pauseForOtherWriter()
            return
        } catch {
            self.failWaiting(StoreError(sqlite: error))
            return
        }
        let failure = self.fillGroup(db) ?? self.commit(db)
        if db.isInsideTransaction { try? db.rollback() }
        let group = self.queue.withLock { queue in
            defer { queue.group = [] }
            return queue.group
        }
        for call in group { call.finish(failure) }
    }

    /// Runs calls inside the transaction.
    ///
    /// - Returns: Why nothing can be committed; `nil` if it can.
    private func fillGroup(_ db: Database) -> StoreError? {
        let start = ContinuousClock.now
        var count = 0
        while count < self.limits.groupSize, let call = self.takeCall(isFirst: count == 0) {
            count += 1
            call.run(in: db)
            // On some errors, such as a full disk, SQLite rolls back by itself. The next call would stand alone.
            guard db.isInsideTransaction else { return StoreError(.unavailable, "SQLite rolled the transaction back.") }
            if start.duration(to: .now) >= self.limits.groupTime { break }
        }
        return nil
    }

    private func takeCall(isFirst: Bool) -> (any PendingCall)? {
        while true {
            let call = self.queue.withLock { queue -> (any PendingCall)? in
                guard let priority = self.nextPriority(in: &queue, isFirst: isFirst) else { return nil }
                let call = queue.waiting[priority].popFirst()
                if let call { queue.group.append(call) }
                return call
            }
            guard let call else { return nil }
            if call.begin(now: .now) { return call }
            self.queue.withLock { queue in _ = queue.group.popLast() }
        }
    }

    /// Work of low priority gets a transaction of its own, so that no other commit waits for it.
    private func nextPriority(in queue: inout Queue, isFirst: Bool) -> Int? {
        let background = TransactionPriority.background.rawValue
        if isFirst {
            queue.groupCount += 1
            if queue.groupCount.isMultiple(of: Self.backgroundShare), !queue.waiting[background].isEmpty {
                return background
            }
        }
        let next = queue.waiting.lastIndex { !$0.isEmpty }
        return next == background && !isFirst ? nil : next
    }

    private func commit(_ db: Database) -> StoreError? {
        do {
            try db.commit()
            return nil
        } catch {
            return StoreError(
                .replyLost, "SQLite could not commit: \(StoreError.describe(error)).", underlyingError: error)
        }
    }

    private func failWaiting(_ error: StoreError) {
        let calls = self.queue.withLock { queue in
            defer { queue.waiting = queue.waiting.map { _ in CallQueue() } }
            return queue.waiting.flatMap(\.all)
        }
        for call in calls { call.fail(error) }
    }

    // MARK: Deadlines

    /// Looks after deadlines as long as calls are under way, by a timer that no handler can block.
    private func watchLater() {
        DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(20)) {
            self.callOffOverdue(writing: true)
            let goesOn = self.queue.withLock { queue in
                queue.isWatching = queue.isWriting
                return queue.isWatching
            }
            if goesOn { self.watchLater() }
        }
    }

    /// Tells the callers whose deadline has passed.
    ///
    /// - Parameter writing: Whether those in the transaction that is under way are told, too.
    private func callOffOverdue(writing: Bool) {
        let now = ContinuousClock.now
        let (overdue, written) = self.queue.withLock { queue in
            var overdue: [any PendingCall] = []
            for priority in queue.waiting.indices { overdue += queue.waiting[priority].removeOverdue(now: now) }
            return (overdue, writing ? queue.group.filter { $0.deadline <= now } : [])
        }
        for call in overdue { call.fail(.tooLate) }
        for call in written {
            call.fail(StoreError(.replyLost, "SQLite did not commit in time."))
        }
    }
}

/// Calls that wait, the oldest first.
private struct CallQueue {
    private var calls: [(any PendingCall)?] = []
    private var head = 0

    var count: Int { self.calls.count - self.head }
    var isEmpty: Bool { self.count == 0 }
    var all: [any PendingCall] { self.calls.compactMap(\.self) }

    mutating func append(_ call: any PendingCall) {
        self.calls.append(call)
    }

    mutating func popFirst() -> (any PendingCall)? {
        guard !self.isEmpty else { return nil }
        let call = self.calls[self.head]
        // Frees what it holds, such as a response.
        self.calls[self.head] = nil
        self.head += 1
        if self.head == self.calls.count || self.head >= 256 {
            self.calls.removeFirst(self.head)
            self.head = 0
        }
        return call
    }

    mutating func removeOverdue(now: ContinuousClock.Instant) -> [any PendingCall] {
        let overdue = self.all.filter { $0.deadline <= now }
        if !overdue.isEmpty {
            self.calls = self.all.filter { now < $0.deadline }
            self.head = 0
        }
        return overdue
    }
}

/// A call that waits for its transaction.
private protocol PendingCall: AnyObject, Sendable {
    var deadline: ContinuousClock.Instant { get }
    /// Whether the caller still waits; one that does not is told so.
    func begin(now: ContinuousClock.Instant) -> Bool
    /// Does the work, inside the transaction.
    func run(in db: Database)
    /// Tells the caller, once the transaction has ended.
    func finish(_ failure: StoreError?)
    /// Tells the caller that there will be no result.
    func fail(_ error: StoreError)
}

private final class Call<Value: Sendable>: PendingCall {
    private enum State {
        case pending(CheckedContinuation<Result<Value, StoreError>, Never>)
        case worked(CheckedContinuation<Result<Value, StoreError>, Never>, Result<Value, StoreError>)
        case ended
    }

    let deadline: ContinuousClock.Instant
    private let work: @Sendable (Database) throws -> Value
    private let state: Mutex<State>

    init(
        deadline: ContinuousClock.Instant,
        work: @escaping @Sendable (Database) throws -> Value,
        continuation: CheckedContinuation<Result<Value, StoreError>, Never>
    ) {
        self.deadline = deadline
        self.work = work
        self.state = Mutex(.pending(continuation))
    }

    func begin(now: ContinuousClock.Instant) -> Bool {
        guard self.deadline <= now else { return self.isPending }
        self.fail(.tooLate)
        return false
    }

    private var isPending: Bool {
        self.state.withLock { state in
            if case .ended = state { return false }
            return true
        }
    }

    func run(in db: Database) {
        let result = Result { try self.work(db) }.mapError(StoreError.init(sqlite:))
        self.state.withLock { state in
            guard case .pending(let continuation) = state else { return }
            state = .worked(continuation, result)
        }
    }

    func finish(_ failure: StoreError?) {
        self.end { result in
            if let failure { return .failure(failure) }
            return result ?? .failure(StoreError(.unavailable, "The call was not run."))
        }
    }

    func fail(_ error: StoreError) {
        self.end { _ in .failure(error) }
    }

    private func end(_ result: (Result<Value, StoreError>?) -> Result<Value, StoreError>) {
        let last = self.state.withLock { state in
            defer { state = .ended }
            return state
        }
        switch last {
        case .pending(let continuation): continuation.resume(returning: result(nil))
        case .worked(let continuation, let worked): continuation.resume(returning: result(worked))
        case .ended: break
        }
    }
}

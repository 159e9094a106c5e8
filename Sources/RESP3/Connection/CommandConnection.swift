import Logging
import NIOCore
import Synchronization

/// A connection to one server that many callers share: made on first use, and again after a loss.
///
/// All commands of one turn of the event loop leave with one flush. Commands that could not be sent before a
/// connection was lost leave with the next; those that had been sent are failed.
final actor CommandConnection {
    private typealias Waiter = CheckedContinuation<Result<[RESPValue], RedisError>, Never>

    /// Commands on their way to the event loop.
    private struct Submission: Sendable {
        let entry: CommandQueue<Waiter>.Entry
        let ticket: Ticket
    }

    private static let chunkSize = 1 << 18
    private static let largestSpareInbox = 1 << 10
    /// Deadlines closer together than this share a timer.
    private static let timerResolution = TimeAmount.milliseconds(5)

    nonisolated let eventLoop: any EventLoop
    let factory: ConnectionFactory
    let backoff: Backoff
    let logger: Logger

    private let inbox = Mutex<[Submission]>([])
    /// The storage that the inbox had before, so that it is not allocated anew each time.
    private var spareInbox: [Submission] = []
    private var state: CommandConnectionState<Waiter>
    var channel: (any Channel)?
    var address: NodeAddress?
    var announced: NodeAddress?
    private var buffer = ByteBuffer()
    var isFlushPlanned = false
    private var timer: (deadline: NIODeadline, task: Scheduled<Void>)?
    private var closing: [CheckedContinuation<Void, Never>] = []
    /// How many times something was flushed.
    private(set) var flushCount = 0

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe self.eventLoop.executor.asUnownedSerialExecutor() }

    /// - Parameters:
    ///   - factory: Makes the connections.
    ///   - configuration: The limits, and the logger.
    ///   - eventLoop: Where the connections live.
    ///   - sharesWaits: Whether all calls end with a `WAIT`: see ``CommandQueue``.
    ///   - maximumInFlight: How many calls may have left without their replies; `nil` for any number.
    init(
        _ factory: ConnectionFactory,
        _ configuration: RedisConfiguration,
        on eventLoop: any EventLoop,
        sharesWaits: Bool = false,
        maximumInFlight: Int? = nil
    ) {
        self.eventLoop = eventLoop
        self.factory = factory
        self.backoff = configuration.backoff
        self.logger = configuration.logger
        let limits = CommandQueue<Waiter>.Limits(
            commands: configuration.maximumPendingCommands, bytes: configuration.maximumPendingBytes,
            inFlight: maximumInFlight ?? .max)
        self.state = CommandConnectionState(
            limits: limits, sharesWaits: sharesWaits, maximumConnectFailures: configuration.maximumConnectFailures,
            silenceTimeout: TimeAmount(configuration.silenceTimeout))
    }

    /// Sends commands back to back and waits for their replies.
    ///
    /// - Returns: As many replies as there are commands, errors of the server among them.
    nonisolated func send(
        _ commands: [RedisCommand], deadline: NIODeadline
    ) async throws(RedisError) -> [RESPValue] {
        // Without commands, there would be no reply to resume the caller.
        if commands.isEmpty { return [] }
        let ticket = Ticket()
        let result: Result<[RESPValue], RedisError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let entry = CommandQueue.Entry(commands, deadline: deadline, waiter: continuation)
                self.submit(Submission(entry: entry, ticket: ticket))
            }
        } onCancel: {
            guard let id = ticket.cancel() else { return }
            self.eventLoop.execute { self.assumeIsolated { $0.cancel(id) } }
        }
        return try result.get()
    }

    /// Refuses further commands, and returns when all others have their replies or have failed.
    func close() async {
        let channel = self.channel
        self.perform(self.state.close())
        if !self.state.isClosed { await withCheckedContinuation { self.closing.append($0) } }
        // Closing the socket may report an error; it is closed all the same.
        try? await channel?.closeFuture.get()
    }

    /// The same, without waiting.
    nonisolated func closeSoon() {
        self.eventLoop.execute { self.assumeIsolated { $0.beginClosing() } }
    }

    /// Hands commands to the event loop, which is woken once for all that come before it looks.
    private nonisolated func submit(_ submission: Submission) {
        let isFirst = self.inbox.withLock { inbox in
            inbox.append(submission)
            return inbox.count == 1
        }
        if isFirst { self.eventLoop.execute { self.assumeIsolated { $0.emptyInbox() } } }
    }

    private func emptyInbox() {
        var submissions: [Submission] = []
        swap(&submissions, &self.spareInbox)
        self.inbox.withLock { swap(&submissions, &$0) }
        // One flush for all of them, at the end.
        self.isFlushPlanned = true
        let now = NIODeadline.now()
        for submission in submissions { self.enqueue(submission, now) }
        submissions.removeAll(keepingCapacity: submissions.capacity <= Self.largestSpareInbox)
        self.spareInbox = submissions
        self.flush()
    }

    private func enqueue(_ submission: Submission, _ now: NIODeadline) {
        let (id, step) = self.state.enqueue(submission.entry, now: now)
        self.perform(step)
        guard let id else { return }
        guard submission.ticket.queue(at: id) else { return self.cancel(id) }
        self.setTimer(submission.entry.deadline)
    }

    private func cancel(_ id: Int) {
        self.perform(self.state.cancel(id))
    }

    private func beginClosing() {
        self.perform(self.state.close())
    }

    private func perform(_ step: CommandConnectionStep<Waiter>) {
        for (waiter, result) in step.outcomes { waiter.resume(returning: result) }
        if step.closesConnection {
            self.channel?.close(promise: nil)
            self.channel = nil
        }
        self.take(step.next)
        if self.state.isClosed { self.finishClosing() }
    }

    private func finishClosing() {
        self.timer?.task.cancel()
        for waiter in self.closing { waiter.resume() }
        self.closing = []
    }

    var isConnecting: Bool { self.state.isConnecting }

    func isCurrent(_ attempt: Int) -> Bool { self.state.isCurrent(attempt) }

    func retire() {
        self.perform(self.state.retire())
    }

    func pauseEnded() {
        self.perform(self.state.pauseEnded())
    }
}

extension CommandConnection {
    func flush() {
        self.isFlushPlanned = false
        guard let channel = self.channel else { return }
        var hasWritten = false
        // Commands that do not fit stay unsent until the channel is writable.
        while channel.isWritable {
            let commands = self.state.send(upTo: Self.chunkSize)
            if commands.isEmpty { break }
            self.buffer.clear()
            for command in commands { command.write(to: &self.buffer) }
            channel.write(self.buffer, promise: nil)
            hasWritten = true
        }
        guard hasWritten else { return }
        // Gives up the memory of a large value.
        if self.buffer.capacity > 2 * Self.chunkSize { self.buffer = ByteBuffer() }
        self.flushCount += 1
        channel.flush()
    }

    private func setTimer(_ deadline: NIODeadline) {
        if let timer = self.timer {
            guard deadline < timer.deadline else { return }
            timer.task.cancel()
        }
        let task = self.eventLoop.scheduleTask(deadline: deadline) { self.assumeIsolated { $0.timerFired() } }
        self.timer = (deadline, task)
    }

    private func timerFired() {
        self.timer = nil
        let now = self.eventLoop.now
        self.perform(self.state.expire(now))
        if let next = self.state.nextDeadline { self.setTimer(max(next, now + Self.timerResolution)) }
    }
}

extension CommandConnection: ReconnectingOwner {
    func opened(_ channel: any Channel, to address: NodeAddress, attempt: Int) {
        guard self.adopt(channel, to: address, attempt: attempt) else { return }
        self.logger.debug("Connected", metadata: ["redis.address": "\(address)"])
        self.perform(self.state.opened(attempt))
    }

    func received(_ value: RESPValue, attempt: Int) {
        if self.state.isCurrent(attempt) { self.perform(self.state.received(value)) }
    }

    func receivedBytes(attempt: Int) {
        if self.state.isCurrent(attempt) { self.state.receivedBytes(at: .now()) }
    }

    func ended(_ end: ConnectionEnd, attempt: Int) {
        guard self.state.isCurrent(attempt) else { return }
        self.channel = nil
        self.announced = nil
        self.perform(self.state.ended(end, attempt))
        self.logger.debug(
            "Connection ended",
            metadata: ["redis.reason": "\(end.errorBeforeSending)", "redis.failures": "\(self.state.failures)"])
    }
}

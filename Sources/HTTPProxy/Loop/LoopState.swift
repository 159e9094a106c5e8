import Logging
import NIOCore
import NIOPosix

/// What the connections of one event loop share.
///
/// Nothing here is ever touched from another thread.
final class LoopState {
    let eventLoop: any EventLoop
    /// Where handlers run.
    let executor: LoopExecutor
    let endOfTick: EndOfTick
    let clients: Sweep
    let pool: ConnectionPool
    let bodies: BodyBudget
    let limits: ServerLimits
    let timeouts: Timeouts
    let screen: RequestScreen
    let requestWriter: RequestHeadWriter
    let responseWriter: ResponseHeadWriter
    let handler: any RequestHandler
    let running: RunningCount
    let logger: Logger
    /// Whether connections end with the response they carry.
    private(set) var isDraining = false
    /// The connections that clients have, of whatever protocol.
    private var channels: [ObjectIdentifier: any Channel] = [:]
    private var lastDate: (second: Int, text: String) = (0, "")

    init(
        on eventLoop: any EventLoop, configuration: ServerConfiguration, budget: ConnectionBudget, bodies: BodyBudget,
        handler: any RequestHandler, running: RunningCount, logger: Logger
    ) {
        let limits = configuration.limits
        let timeouts = Timeouts(limits)
        self.eventLoop = eventLoop
        self.executor = LoopExecutor(on: eventLoop)
        self.endOfTick = EndOfTick(on: eventLoop)
        self.clients = Sweep(on: eventLoop, interval: timeouts.sweepInterval)
        self.pool = ConnectionPool(
            on: eventLoop, configuration: configuration, budget: budget, timeouts: timeouts, endOfTick: self.endOfTick)
        self.bodies = bodies
        self.limits = limits
        self.timeouts = timeouts
        self.screen = RequestScreen(
            maxBodySize: limits.maxBodySize ?? .max, maxHeaderCount: limits.maxHeaderCount,
            pseudonym: configuration.rewriting.pseudonym)
        self.requestWriter = RequestHeadWriter(
            rewriting: configuration.rewriting, upstreamAuthority: configuration.upstream.authority)
        self.responseWriter = ResponseHeadWriter(privateFields: configuration.rewriting.privateFields)
        self.handler = handler
        self.running = running
        self.logger = logger
    }

    /// Whether no client is connected.
    var isIdle: Bool { self.channels.isEmpty }

    func initialize(_ channel: any Channel, by initializer: ClientInitializer) throws {
        self.channels[ObjectIdentifier(channel)] = channel
        channel.closeFuture.assumeIsolated().whenComplete { _ in self.channels[ObjectIdentifier(channel)] = nil }
        try initializer.initialize(channel, on: self)
    }

    /// Ends all connections of clients.
    func shutDown() {
        self.isDraining = true
        for channel in self.channels.values { channel.closeAtOnce() }
    }

    /// The present moment, as `Date` has it.
    var date: String {
        let second = HTTPDate.now
        if second != self.lastDate.second { self.lastDate = (second, HTTPDate(secondsSince1970: second).text) }
        return self.lastDate.text
    }

    /// Tells who wants to know that there is no response.
    func report(_ failure: UpstreamFailure) {
        self.handler.upstreamFailed(failure.problem)
        self.logger.warning(
            "The upstream did not respond",
            metadata: ["proxy.problem": "\(failure.problem.rawValue)", "proxy.error": "\(failure)"])
    }

    func drain() {
        self.isDraining = true
        self.clients.drain()
    }

    /// What becomes of a request, by the handler's decision.
    func process(_ head: RequestHead, from client: any ClientStream) -> any RequestProcess {
        if head.maxForwards == 0 { return FinalRecipient(head, from: client) }
        return switch self.handler.route(head) {
        case .forward: RequestForwarder(head, from: client, on: self)
        case .handle: HandledProcess(head, from: client, on: self)
        }
    }
}

/// The limits of time, in the event loop's units.
struct Timeouts {
    let idle: TimeAmount
    let gap: TimeAmount
    let rateWindow: TimeAmount
    let maxBody: TimeAmount
    let connect: TimeAmount
    /// How long a client may take to hear that the connection ends, if nothing else is on its way.
    let linger: TimeAmount
    let upstream: TimeAmount
    let upstreamIdle: TimeAmount
    let seenAlive: TimeAmount
    /// How often the time is looked at: often enough for the shortest of them.
    let sweepInterval: TimeAmount

    init(_ limits: ServerLimits) {
        self.idle = TimeAmount(limits.idleTimeout)
        self.gap = TimeAmount(limits.gapTimeout)
        self.linger = min(self.gap, .seconds(1))
        self.rateWindow = TimeAmount(limits.rateWindow)
        self.maxBody = TimeAmount(limits.maxBodyTime)
        self.connect = TimeAmount(limits.connectTimeout)
        self.upstream = TimeAmount(limits.upstreamTimeout)
        self.upstreamIdle = TimeAmount(limits.upstreamIdleTimeout)
        self.seenAlive = TimeAmount(limits.seenAliveTime)
        let shortest = [self.idle, self.gap, self.rateWindow, self.connect, self.upstream, self.upstreamIdle].min()
        self.sweepInterval = min(
            .milliseconds(500), max(.milliseconds(5), .nanoseconds((shortest ?? .seconds(1)).nanoseconds / 8)))
    }
}

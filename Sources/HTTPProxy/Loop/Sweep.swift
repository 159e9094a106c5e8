import NIOCore

/// Looks at the time now and then, instead of having a timer.
protocol Swept: AnyObject {
    /// Ends what has taken too long.
    func sweep(now: NIODeadline)
    /// Ends once it is no longer of use.
    func drain()
    /// Ends now.
    func shutDown()
}

/// All connections of an event loop.
///
/// One coarse timer looks at them all, so that a request sets none.
final class Sweep {
    private let eventLoop: NIOIsolatedEventLoop
    private let interval: TimeAmount
    private var members: [ObjectIdentifier: any Swept] = [:]
    private var timer: Scheduled<Void>?

    var count: Int { self.members.count }

    init(on eventLoop: any EventLoop, interval: TimeAmount) {
        self.eventLoop = eventLoop.assumeIsolated()
        self.interval = interval
    }

    func add(_ member: any Swept) {
        self.members[ObjectIdentifier(member)] = member
        if self.timer == nil { self.schedule() }
    }

    func remove(_ member: any Swept) {
        self.members[ObjectIdentifier(member)] = nil
    }

    private func schedule() {
        self.timer = self.eventLoop.scheduleTask(in: self.interval) { self.run() }
    }

    private func run() {
        self.timer = nil
        let now = NIODeadline.now()
        for member in self.members.values { member.sweep(now: now) }
        if !self.members.isEmpty { self.schedule() }
    }

    func drain() {
        for member in self.members.values { member.drain() }
    }

    func shutDown() {
        for member in self.members.values { member.shutDown() }
    }
}

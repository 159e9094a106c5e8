import NIOCore

/// A connection of a client whose TLS handshake is not over: nothing else looks at its time.
final class PendingHandshake: Swept {
    private let channel: any Channel
    private let deadline: NIODeadline

    init(_ channel: any Channel, timeout: TimeAmount) {
        self.channel = channel
        self.deadline = .now() + timeout
    }

    func sweep(now: NIODeadline) {
        if now >= self.deadline { self.shutDown() }
    }

    func drain() { self.shutDown() }

    func shutDown() { self.channel.closeAtOnce() }
}

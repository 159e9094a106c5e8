import Idemptx

/// What a ``RedisStore`` needs of a client of Redis or Valkey: commands, and hints at messages.
///
/// The store brings a client of its own. Conform another one to this to use its connections instead.
public protocol RedisExecutor: Sendable {
    /// Sends commands in their order over one connection, and waits for all replies.
    ///
    /// - Parameters:
    ///   - commands: At least one.
    ///   - key: The key that the first command is about, by which a cluster finds the server.
    /// - Returns: As many replies as there are commands. What a server refuses is a ``RedisReply/error(_:)`` among
    ///   them, but for redirects of a cluster: follow those.
    /// - Throws: `StoreError` with code `unavailable` if nothing was sent, and with `replyLost` if something was
    ///   and a reply is missing. Any other error counts as the latter. Never send a second time what may have run.
    func execute(_ commands: [RedisCommand], key: [UInt8]?) async throws -> [RedisReply]

    /// Hints at messages in a channel.
    ///
    /// Hints once when the subscription stands, then with each message, and whenever one may have been missed. A
    /// finished stream means that there are no hints: those who wait ask the server again by themselves.
    ///
    /// - Parameter channel: The name of the channel.
    /// - Returns: A stream for one consumer. Dropping it unsubscribes.
    func subscribe(to channel: String) -> AsyncStream<Void>

    /// The command that reaches the subscribers of ``subscribe(to:)``.
    ///
    /// - Returns: `PUBLISH`, or `SPUBLISH` in a cluster whose channels belong to slots.
    /// - Throws: As ``execute(_:key:)``.
    func publishCommand() async throws -> String

    /// Whether keys are spread over several servers by their slots.
    ///
    /// A script must then use keys of one slot only.
    var isCluster: Bool { get }

    /// The servers that take writes, between them all keys.
    ///
    /// - Returns: An executor for each of them, whose commands without a key go to that server.
    /// - Throws: As ``execute(_:key:)``.
    func primaries() async throws -> [any RedisExecutor]
}

extension RedisExecutor {
    /// No hints.
    public func subscribe(to channel: String) -> AsyncStream<Void> {
        AsyncStream { $0.finish() }
    }

    /// `PUBLISH`.
    public func publishCommand() async throws -> String { "PUBLISH" }

    /// No cluster.
    public var isCluster: Bool { false }

    /// This one.
    public func primaries() async throws -> [any RedisExecutor] { [self] }
}

extension RedisExecutor {
    /// Sends one command; a refusal is thrown.
    func execute(_ command: RedisCommand, key: [UInt8]? = nil) async throws -> RedisReply {
        try await self.checkedExecute([command], key: key)[0].get()
    }

    /// Sends commands, and sees to it that there are as many replies.
    func checkedExecute(_ commands: [RedisCommand], key: [UInt8]?) async throws -> [RedisReply] {
        let replies = try await self.execute(commands, key: key)
        guard replies.count == commands.count else {
            throw StoreError(.replyLost, "Redis sent \(replies.count) replies to \(commands.count) commands.")
        }
        return replies
    }
}

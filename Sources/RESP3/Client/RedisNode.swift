package import NIOCore

/// Something that takes commands: one server, or a client that finds the right one.
package protocol RedisNode: Sendable {
    /// How long a command may take unless a call says otherwise.
    var commandTimeout: Duration { get }

    /// Sends commands back to back on one connection, and waits for their replies.
    ///
    /// The commands of concurrent calls share connections and leave together. Nothing is sent twice, except where the
    /// first reply proves that nothing was executed: a redirect, `TRYAGAIN`, `CLUSTERDOWN`, or a `READONLY` during a
    /// failover.
    ///
    /// A call that ends with `WAIT` does not hold up others: it goes over a connection for such calls, and those that come
    /// while one waits share a `WAIT` after it. Two things follow: such a call can take twice as long as its `WAIT` may,
    /// and its `WAIT` may be about more than it has written itself.
    ///
    /// Cancelling the task ends the wait at once. The connection lives on, and the reply is dropped when it comes.
    ///
    /// - Parameters:
    ///   - commands: At least one command. They are neither a transaction nor safe from being interleaved with others
    ///     at the server; but no other command of this client is between them on the connection.
    ///   - key: A key that the first command is about, by which a cluster finds the server. A command without a key
    ///     goes to any server.
    ///   - deadline: When to stop waiting.
    /// - Returns: As many replies as there are commands, errors of the server among them.
    /// - Throws: ``RedisError``, except ``RedisError/server(_:)``.
    func send(
        _ commands: [RedisCommand], key: RedisArgument?, deadline: NIODeadline
    ) async throws(RedisError) -> [RESPValue]
}

/// A server that takes writes.
package protocol RedisPrimary: RedisNode {
    /// What tells it from the others of the same service, at any time: its address, or what sentinels call it.
    var name: String { get }
}

extension RedisNode {
    /// Sends one command and waits for its reply.
    ///
    /// - Parameters:
    ///   - command: The command.
    ///   - key: A key that the command is about, by which a cluster finds the server.
    ///   - timeout: How long to wait; ``commandTimeout`` if `nil`.
    /// - Returns: The reply.
    /// - Throws: ``RedisError``; an error of the server is thrown as ``RedisError/server(_:)``.
    package func send(
        _ command: RedisCommand, key: RedisArgument? = nil, timeout: Duration? = nil
    ) async throws(RedisError) -> RESPValue {
        try await self.send([command], key: key, deadline: self.deadline(timeout)).first(orThrow: "There is no reply.")
    }

    private func deadline(_ timeout: Duration?) -> NIODeadline {
        .now() + TimeAmount(timeout ?? self.commandTimeout)
    }
}

extension [RESPValue] {
    fileprivate func first(orThrow sentence: String) throws(RedisError) -> RESPValue {
        switch self.first {
        case .error(let error): throw .server(error)
        case let reply?: return reply
        case nil: throw .protocolViolation(sentence)
        }
    }
}

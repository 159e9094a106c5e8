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

    /// Runs a script and waits for its reply.
    ///
    /// The server is sent the script's digest, and only if it does not know it, the script.
    ///
    /// - Parameters:
    ///   - script: The script.
    ///   - keys: What the script reads as `KEYS`; the first one tells a cluster the server.
    ///   - arguments: What the script reads as `ARGV`.
    ///   - timeout: How long to wait; ``commandTimeout`` if `nil`.
    /// - Returns: The reply.
    /// - Throws: ``RedisError``; an error of the server is thrown as ``RedisError/server(_:)``.
    package func run(
        _ script: Script, keys: [RedisArgument], arguments: [RedisArgument] = [], timeout: Duration? = nil
    ) async throws(RedisError) -> RESPValue {
        try await self.run(script, keys: keys, arguments: arguments, followedBy: [], timeout: timeout)
            .first(orThrow: "There is no reply.")
    }

    /// Runs a script, and then commands on the same connection, such as `WAIT`.
    ///
    /// If the server does not know the script, the commands are sent again behind it.
    ///
    /// - Parameters:
    ///   - script: The script.
    ///   - keys: What the script reads as `KEYS`; the first one tells a cluster the server.
    ///   - arguments: What the script reads as `ARGV`.
    ///   - commands: What to send behind the script, whatever becomes of it.
    ///   - timeout: How long to wait for all; ``commandTimeout`` if `nil`.
    /// - Returns: The reply to the script and those to the commands, errors of the server among them.
    /// - Throws: ``RedisError``, except ``RedisError/server(_:)``.
    package func run(
        _ script: Script, keys: [RedisArgument], arguments: [RedisArgument] = [], followedBy commands: [RedisCommand],
        timeout: Duration? = nil
    ) async throws(RedisError) -> [RESPValue] {
        let deadline = self.deadline(timeout)
        let short = [script.byDigest(keys: keys, arguments: arguments)] + commands
        let replies = try await self.send(short, key: keys.first, deadline: deadline)
        // The server says that it ran nothing, so that it may be asked again.
        guard replies.first?.serverError?.code == "NOSCRIPT" else { return replies }
        let long = [script.bySource(keys: keys, arguments: arguments)] + commands
        return try await self.send(long, key: keys.first, deadline: deadline)
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

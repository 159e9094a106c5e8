import Crypto

/// A script, and the digest under which servers keep it.
struct RedisScript: Sendable {
    private let source: [UInt8]
    private let digest: [UInt8]

    init(_ source: String) {
        self.source = Array(source.utf8)
        let digits = Array("0123456789abcdef".utf8)
        self.digest = Insecure.SHA1.hash(data: self.source).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 0xF)]] }
    }

    /// Runs the script, then `commands` on the same connection.
    ///
    /// - Returns: The replies, refusals among them.
    func run(
        on executor: any RedisExecutor,
        key: [UInt8],
        arguments: [[UInt8]],
        followedBy commands: [RedisCommand]
    ) async throws -> [RedisReply] {
        let rest = [Array("1".utf8), key] + arguments
        let replies = try await executor.checkedExecute(
            [RedisCommand([Array("EVALSHA".utf8), self.digest] + rest)] + commands, key: key)
        // The server has forgotten the script, or never knew it, and has run nothing.
        guard case .error(let message) = replies[0], message.hasPrefix("NOSCRIPT") else { return replies }
        return try await executor.checkedExecute(
            [RedisCommand([Array("EVAL".utf8), self.source] + rest)] + commands, key: key)
    }
}

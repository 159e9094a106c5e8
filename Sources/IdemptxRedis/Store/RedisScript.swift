import Crypto

/// A script, and the digest under which servers keep it.
struct RedisScript: Sendable {
    private static let evaluate = Array("EVAL".utf8)
    private static let evaluateByDigest = Array("EVALSHA".utf8)

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
        keys: [[UInt8]],
        arguments: [[UInt8]],
        followedBy command: RedisCommand? = nil
    ) async throws -> [RedisReply] {
        var words: [[UInt8]] = []
        words.reserveCapacity(3 + keys.count + arguments.count)
        words.append(Self.evaluateByDigest)
        words.append(self.digest)
        words.append(Array("\(keys.count)".utf8))
        words.append(contentsOf: keys)
        words.append(contentsOf: arguments)
        let rest = command.map { [$0] } ?? []
        let replies = try await executor.checkedExecute([RedisCommand(words)] + rest, key: keys[0])
        // The server has forgotten the script, or never knew it, and has run nothing.
        guard case .error(let message) = replies[0], message.hasPrefix("NOSCRIPT") else { return replies }
        words[0] = Self.evaluate
        words[1] = self.source
        return try await executor.checkedExecute([RedisCommand(words)] + rest, key: keys[0])
    }
}

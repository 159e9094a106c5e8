import Crypto

/// A Lua script and the digest under which servers keep it.
package struct Script: Sendable {
    private let source: RedisArgument
    private let digest: RedisArgument

    /// Creates a script.
    ///
    /// - Parameter source: Lua that names its keys in `KEYS` and everything else in `ARGV`, so that it is the same text
    ///   every time.
    package init(_ source: String) {
        self.source = RedisArgument(source)
        let digest = Insecure.SHA1.hash(data: Array(source.utf8))
        self.digest = RedisArgument(digest.flatMap { Self.hexadecimal($0) })
    }

    private static func hexadecimal(_ byte: UInt8) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        return [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
    }

    func byDigest(keys: [RedisArgument], arguments: [RedisArgument]) -> RedisCommand {
        RedisCommand(["EVALSHA", self.digest, RedisArgument(keys.count)] + keys + arguments)
    }

    func bySource(keys: [RedisArgument], arguments: [RedisArgument]) -> RedisCommand {
        RedisCommand(["EVAL", self.source, RedisArgument(keys.count)] + keys + arguments)
    }
}

import NIOCore
import RESP3

/// Reads keys through the client that `RedisStore` uses: what a first run and a replay over Redis are compared with.
public struct RedisReader: Sendable {
    private let client: any RedisClient

    /// Creates a reader, which connects when it is first used.
    ///
    /// - Parameter url: The address of the server, `redis://HOST:PORT`.
    /// - Throws: An error if the address is malformed.
    public init(url: String) throws {
        self.client = try RedisConfiguration(RedisEndpoint(url: url)).makeClient()
    }

    /// Sends one `GET`.
    ///
    /// - Parameter key: The key.
    /// - Returns: The number of bytes of its value; `nil` if there is none.
    /// - Throws: An error if the server cannot be asked.
    public func size(of key: String) async throws -> Int? {
        let argument = RedisArgument(key)
        return try await self.client.send(["GET", argument], key: argument).bytes?.readableBytes
    }
}

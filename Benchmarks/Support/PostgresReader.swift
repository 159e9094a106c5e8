import LibPQ

/// Reads rows through the client that `PostgresStore` uses: what a first run and a replay over PostgreSQL are compared with.
public struct PostgresReader: Sendable {
    private let client: PostgresClient

    /// Creates a reader, which connects when it is first used.
    ///
    /// - Parameter url: The address of the server and its database, as libpq reads it.
    /// - Throws: An error if the address is malformed, or if libpq is missing.
    public init(url: String) throws {
        self.client = try PostgresClient(PostgresConfiguration(url))
    }

    /// Sends one `SELECT`.
    ///
    /// - Parameter key: The key of a row of the table `benchmark`.
    /// - Returns: The number of bytes of its value; `nil` if there is none.
    /// - Throws: An error if the server cannot be asked.
    public func size(of key: String) async throws -> Int? {
        let result = try await self.client.query("SELECT value FROM benchmark WHERE key = $1", [.text(key)])
        return try result.first?.text(0)?.utf8.count
    }
}

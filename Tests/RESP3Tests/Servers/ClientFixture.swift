import RESP3

/// Runs `body` with a client, and closes the client.
@discardableResult
func withClient<Value>(
    _ url: String, _ configure: (inout RedisConfiguration) -> Void = { _ in },
    _ body: (any RedisClient) async throws -> Value
) async throws -> Value {
    var configuration = RedisConfiguration(try RedisEndpoint(url: url))
    // Long enough for a busy machine; a test that means a deadline sets its own.
    configuration.commandTimeout = .seconds(20)
    configuration.connectTimeout = .seconds(20)
    configure(&configuration)
    let client = try configuration.makeClient()
    do {
        let value = try await body(client)
        await client.close()
        return value
    } catch {
        await client.close()
        throw error
    }
}

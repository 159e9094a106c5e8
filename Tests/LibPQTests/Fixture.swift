import Foundation
import LibPQ
import PostgresServerTesting
import Testing

/// What a test wants of a client.
struct Changes {
    static let none = Changes { _ in }

    let apply: @Sendable (inout PostgresConfiguration) -> Void

    static func with(_ apply: @escaping @Sendable (inout PostgresConfiguration) -> Void) -> Changes {
        Changes(apply: apply)
    }
}

/// What all tests of this target need.
enum Fixture {
    /// A service file for all tests, since the environment of a process must not change once others read it.
    static let serviceFile: URL = {
        let file = FileManager.default.temporaryDirectory.appending(
            path: "pg-service-\(UInt32.random(in: 0...UInt32.max))")
        unsafe setenv("PGSERVICEFILE", file.path, 1)
        unsafe setenv("PGTZ", Self.timeZone, 1)
        return file
    }()
    /// What `PGTZ` says.
    static let timeZone = "Antarctica/Troll"

    /// Runs `body` with a client, and closes the client.
    @discardableResult
    static func withClient<Value>(
        _ conninfo: String, _ configure: (inout PostgresConfiguration) -> Void = { _ in },
        _ body: (PostgresClient) async throws -> Value
    ) async throws -> Value {
        _ = Self.serviceFile
        var configuration = PostgresConfiguration(conninfo)
        // Long enough for a busy machine; a test that means a deadline sets its own.
        configuration.statementTimeout = .seconds(60)
        configuration.connectTimeout = .seconds(60)
        configuration.cancelGrace = .seconds(60)
        configure(&configuration)
        let client = try PostgresClient(configuration)
        do {
            let value = try await body(client)
            await client.close()
            return value
        } catch {
            await client.close()
            throw error
        }
    }

    /// Runs `body` with a new database of a server that no test disturbs, and a client of it.
    static func withDatabase(
        _ changes: Changes = .none, _ body: (PostgresClient, PostgresDatabase) async throws -> Void
    ) async throws {
        _ = Self.serviceFile
        try await PostgresServer.withDatabase { database in
            try await Self.withClient(database.conninfo(), changes.apply) { try await body($0, database) }
        }
    }

    /// Runs `body` with a server of its own.
    static func withServer(
        _ options: PostgresServerOptions = PostgresServerOptions(), _ body: (PostgresServer) async throws -> Void
    ) async throws {
        _ = Self.serviceFile
        try await PostgresServer.with(options, body)
    }

    /// What `body` throws; an issue if it throws nothing or something else.
    static func error<Value>(
        of body: () async throws -> Value, sourceLocation: SourceLocation = #_sourceLocation
    ) async -> PostgresError? {
        do {
            let value = try await body()
            Issue.record("There was no error, but \(value).", sourceLocation: sourceLocation)
        } catch let error as PostgresError {
            return error
        } catch {
            Issue.record(error, sourceLocation: sourceLocation)
        }
        return nil
    }
}

extension PostgresClient {
    /// The first value of the first row, an integer.
    func integer(_ sql: String, _ parameters: [PostgresParameter] = []) async throws -> Int64? {
        try await self.query(sql, parameters).first?.integer(0)
    }

    /// How many other connections run a statement that contains `text`.
    func running(_ text: String) async throws -> Int64? {
        try await self.integer(
            """
            SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid() AND strpos(query, $1) > 0
            """, [.text(text)])
    }

    /// Has the server cancel what other connections run that contains `text`.
    func cancelRunning(_ text: String) async throws {
        try await self.query(
            """
            SELECT pg_cancel_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid() AND strpos(query, $1) > 0
            """, [.text(text)])
    }
}

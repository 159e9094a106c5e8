import Foundation
import TestSupport

/// PgBouncer in transaction mode, in front of a server: each transaction of a client gets any of two sessions.
package final class PgBouncer: Sendable {
    private let host: String
    private let port: Int
    private let directory: URL
    private let process: ServerProcess

    /// Runs PgBouncer while `body` runs, and ends it then.
    package static func with<Value>(
        _ server: PostgresServer, _ body: (PgBouncer) async throws -> Value
    ) async throws -> Value {
        let bouncer = try await PgBouncer(server)
        defer { bouncer.stop() }
        do {
            try await eventually("PgBouncer starts") { bouncer.process.log.contains("process up") }
        } catch {
            throw ServerFailure("\(error) \(bouncer.process.log)")
        }
        return try await body(bouncer)
    }

    private init(_ server: PostgresServer) async throws {
        let template = try await PostgresTemplate.shared()
        self.host = server.host
        self.port = try await FreePort.reserve()
        self.directory = try await template.makeDirectory()
        let settings = """
            [databases]
            postgres = host=\(server.host) port=\(server.port) dbname=postgres user=postgres
            [pgbouncer]
            listen_addr = \(server.host)
            listen_port = \(self.port)
            unix_socket_dir =
            auth_type = any
            pool_mode = transaction
            default_pool_size = 2
            max_client_conn = 1000
            """
        let file = self.directory.appending(path: "pgbouncer.ini")
        try settings.appending("\n").write(to: file, atomically: true, encoding: .utf8)
        self.process = try ServerProcess(
            ["/usr/bin/env"] + template.programs.systemCommand([try Self.program(), file.path]), in: self.directory)
    }

    /// In `PATH`, or in /usr/sbin, which not everybody has there.
    private static func program() throws(ServerFailure) -> String {
        let path = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map { String($0) }
        let candidates = (path + ["/usr/sbin"]).map { "\($0)/pgbouncer" }
        guard let program = candidates.first(where: { FileManager.default.isExecutableFile(atPath: $0) }) else {
            throw ServerFailure("There is no PgBouncer. These tests need one: apt-get install pgbouncer.")
        }
        return program
    }

    /// How libpq is told to connect.
    package var conninfo: String { "host=\(self.host) port=\(self.port) user=postgres dbname=postgres" }

    private func stop() {
        self.process.stop()
        FreePort.release(self.port)
        try? FileManager.default.removeItem(at: self.directory)
    }
}

import Foundation
package import LibPQ
import Synchronization
import TestSupport

/// A real server in a directory of its own, on a free port of the loopback interface.
///
/// The superuser is `postgres`, and so is the database.
package final class PostgresServer: Sendable {
    /// The host, an IP address.
    package let host = "127.0.0.1"
    /// The port.
    package let port: Int
    /// The directory of the socket, by which the superuser needs no password.
    package var socketDirectory: String { self.directory.path }

    private let options: PostgresServerOptions
    private let template: PostgresTemplate
    private let directory: URL
    private let process = Mutex<ServerProcess?>(nil)
    private let client: PostgresClient

    private init(_ options: PostgresServerOptions) async throws {
        let template = try await PostgresTemplate.shared()
        self.options = options
        self.template = template
        self.directory = try await template.makeDirectory()
        self.port = try await FreePort.reserve()
        var configuration = PostgresConfiguration(
            "host=\(self.directory.path) port=\(self.port) user=postgres dbname=postgres")
        configuration.statementTimeout = .seconds(60)
        configuration.maximumConnections = 2
        self.client = try PostgresClient(configuration)
    }

    /// Runs a server while `body` runs, and ends it then.
    @discardableResult
    package static func with<Value>(
        _ options: PostgresServerOptions = PostgresServerOptions(), _ body: (PostgresServer) async throws -> Value
    ) async throws -> Value {
        try await Self.limit.run { try await Self.start(options).whileRunning(body) }
    }

    private static let limit = ConcurrencyLimit(6)

    /// Runs a hot standby of this server while `body` runs, which streams what this one commits.
    @discardableResult
    package func withStandby<Value>(_ body: (PostgresServer) async throws -> Value) async throws -> Value {
        let standby = try await Self.start(self.options) { standby in
            try await self.template.programs.run(
                "pg_basebackup",
                [
                    "--pgdata=\(standby.data.path)", "--host=\(self.socketDirectory)", "--port=\(self.port)",
                    "--username=postgres", "--write-recovery-conf", "--checkpoint=fast", "--no-sync",
                    "--wal-method=stream",
                ])
        }
        return try await standby.whileRunning(body)
    }

    private static let shared = Task { try await PostgresServer.start(PostgresServerOptions()) }

    /// Runs `body` with a new database, on a server that all tests of this process share and none disturbs.
    @discardableResult
    package static func withDatabase<Value>(_ body: (PostgresDatabase) async throws -> Value) async throws -> Value {
        try await Self.limit.run { try await Self.whileExisting(body) }
    }

    private static func whileExisting<Value>(
        _ body: (PostgresDatabase) async throws -> Value
    ) async throws -> Value {
        let server = try await Self.shared.value
        let database = PostgresDatabase(server: server, name: "test_\(UInt32.random(in: 0...UInt32.max))")
        try await server.query("CREATE DATABASE \(database.name)")
        do {
            let value = try await body(database)
            try await server.query("DROP DATABASE \(database.name) WITH (FORCE)")
            return value
        } catch {
            _ = try? await server.query("DROP DATABASE \(database.name) WITH (FORCE)")
            throw error
        }
    }

    private static func start(
        _ options: PostgresServerOptions,
        makingData makeData: (PostgresServer) async throws -> Void = { try await $0.template.copy(to: $0.data) }
    ) async throws -> PostgresServer {
        // Another process may have taken the port after it was found free.
        for _ in 0..<4 {
            let server = try await PostgresServer(options)
            do {
                try await makeData(server)
                try await server.prepare()
                try await server.launch()
                return server
            } catch {
                let isTaken = server.log.contains("Address already in use")
                await server.stop()
                if !isTaken { throw error }
            }
        }
        throw ServerFailure("All ports that are found free are taken a moment later.")
    }

    /// How libpq is told to connect over TCP, with more words of its own, such as `sslmode=require`.
    package func conninfo(_ more: String = "") -> String {
        let password = self.options.password.map { "password=\($0) " } ?? ""
        return "host=\(self.host) port=\(self.port) user=postgres dbname=postgres \(password)\(more)"
    }

    /// What the server has logged since it was started last.
    package var log: String { self.process.withLock { $0?.log } ?? "" }

    /// Runs a statement as the superuser.
    @discardableResult
    package func query(_ sql: String, _ parameters: [PostgresParameter] = []) async throws -> PostgresResult {
        try await self.client.query(sql, parameters)
    }

    /// Kills the server with all of its processes, so that it has no time for anything.
    package func kill() async throws {
        guard let process = self.process.withLock({ $0 }) else { return }
        // It shall not start further processes meanwhile, nor tell others that one of them was killed.
        process.signal(SIGSTOP)
        for child in self.children { Foundation.kill(child, SIGKILL) }
        try await process.kill9()
    }

    /// Starts the server again, on the same port, after ``kill()``.
    package func restart() async throws {
        self.process.withLock { $0 }?.stop()
        try await self.launch()
    }

    /// Halts the server; its sockets stay open, and connections can be opened that nobody serves.
    package func pause() {
        self.process.withLock { $0 }?.signal(SIGSTOP)
        for child in self.children { Foundation.kill(child, SIGSTOP) }
    }

    /// Lets the server go on after ``pause()``.
    package func resume() {
        for child in self.children { Foundation.kill(child, SIGCONT) }
        self.process.withLock { $0 }?.signal(SIGCONT)
    }

    private var data: URL { self.directory.appending(path: "data") }

    private var children: [pid_t] {
        guard let pid = self.process.withLock({ $0?.pid }) else { return [] }
        return ProcessTree.children(of: pid)
    }

    private func whileRunning<Value>(_ body: (PostgresServer) async throws -> Value) async throws -> Value {
        do {
            let value = try await body(self)
            await self.stop()
            return value
        } catch {
            await self.stop()
            throw error
        }
    }

    private func stop() async {
        self.resume()
        self.process.withLock { $0 }?.stop()
        await self.client.close()
        self.removeSharedMemory()
        FreePort.release(self.port)
        try? FileManager.default.removeItem(at: self.directory)
    }

    /// Removes the shared memory of a server that was killed: the system keeps it otherwise.
    private func removeSharedMemory() {
        let file = self.data.appending(path: "postmaster.pid")
        guard
            let lines = try? String(contentsOf: file, encoding: .utf8).split(
                separator: "\n", omittingEmptySubsequences: false),
            lines.count > 6, let id = lines[6].split(separator: " ").last.flatMap({ Int32($0) })
        else { return }
        _ = shmctl(id, IPC_RMID, nil)
    }

    private func prepare() async throws {
        let connection = self.options.requiresTLS ? "hostssl" : "host"
        let method = self.options.password == nil ? "trust" : "scram-sha-256"
        let access = [
            "local all all trust", "local replication all trust", "\(connection) all all 127.0.0.1/32 \(method)",
        ]
        let file = self.directory.appending(path: "hba.conf")
        try access.joined(separator: "\n").appending("\n").write(to: file, atomically: true, encoding: .utf8)
        guard let certificates = self.options.certificates else { return }
        try await self.template.programs.copy(
            certificates.server.certificate, to: self.directory.appending(path: "server.pem"))
        try await self.template.programs.copy(certificates.server.key, to: self.directory.appending(path: "server.key"))
    }

    private func launch() async throws {
        let arguments = ["-D", self.data.path] + self.settings.flatMap { ["-c", "\($0.key)=\($0.value)"] }
        let command = ["/usr/bin/env"] + self.template.programs.command("postgres", arguments)
        let process = try ServerProcess(command, in: self.directory, ending: .quit)
        self.process.withLock { $0 = process }
        let sign = "database system is ready to accept"
        do {
            try await eventually("PostgreSQL starts") {
                let hasEnded = process.pid.map { Foundation.kill($0, 0) != 0 } ?? false
                return hasEnded || process.log.contains(sign)
            }
        } catch {
            throw ServerFailure("\(error) \(process.log)")
        }
        guard process.log.contains(sign) else { throw ServerFailure("PostgreSQL does not start: \(process.log)") }
        guard let password = self.options.password, !process.log.contains("\(sign) read") else { return }
        try await self.query("ALTER ROLE postgres PASSWORD '\(password)'")
    }

    private var settings: [String: String] {
        var settings = [
            "listen_addresses": self.host, "port": "\(self.port)", "unix_socket_directories": self.directory.path,
            "hba_file": self.directory.appending(path: "hba.conf").path, "shared_buffers": "16MB",
            // Files of its own directory, which go with it whatever happens.
            "dynamic_shared_memory_type": "mmap",
            "fsync": self.options.isDurable ? "on" : "off", "autovacuum": "off", "logging_collector": "off",
        ]
        if self.options.certificates != nil {
            settings["ssl"] = "on"
            settings["ssl_cert_file"] = self.directory.appending(path: "server.pem").path
            settings["ssl_key_file"] = self.directory.appending(path: "server.key").path
        }
        return settings.merging(self.options.settings) { $1 }
    }
}

/// A database of a server that others use too.
package struct PostgresDatabase: Sendable {
    fileprivate let server: PostgresServer
    /// The name of the database.
    package let name: String

    /// How libpq is told to connect to it, with more words of its own.
    package func conninfo(_ more: String = "") -> String {
        "host=\(self.server.host) port=\(self.server.port) user=postgres dbname=\(self.name) \(more)"
    }

    /// The same as a URL.
    package var url: String { "postgres://postgres@\(self.server.host):\(self.server.port)/\(self.name)" }
}

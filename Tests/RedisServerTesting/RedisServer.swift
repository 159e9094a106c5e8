import Foundation
package import RESP3
import Synchronization
import TestSupport

/// A real server in a directory of its own, on free ports of the loopback interface.
package final class RedisServer: Sendable {
    /// What the server is to others.
    enum Role {
        case standalone
        case clusterNode
        case sentinel
    }

    /// The host, an IP address.
    package let host = "127.0.0.1"
    /// The port without TLS.
    package let port: Int
    /// The port with TLS, if there is one.
    package let tlsPort: Int?
    /// The socket in the file system.
    package var socketPath: String { self.directory.appending(path: "s").path }

    private let options: RedisServerOptions
    private let role: Role
    private let directory: URL
    private let process = Mutex<ServerProcess?>(nil)
    private let client: any RedisClient

    private init(_ options: RedisServerOptions, _ role: Role) async throws {
        self.options = options
        self.role = role
        try options.binary.check()
        self.port = try await FreePort.reserve(isCluster: role == .clusterNode)
        self.tlsPort = options.certificates == nil ? nil : try await FreePort.reserve()
        // Short, since a socket's path has a narrow limit.
        let name = "redis-\(UInt32.random(in: 0...UInt32.max))"
        self.directory = FileManager.default.temporaryDirectory.appending(path: name)
        var endpoint = RedisEndpoint(.standalone(.unixSocket(path: self.directory.appending(path: "s").path)))
        endpoint.credentials = options.password.map { Credentials(password: $0) }
        var configuration = RedisConfiguration(endpoint)
        configuration.commandTimeout = .seconds(10)
        self.client = try configuration.makeClient()
        try FileManager.default.createDirectory(at: self.directory, withIntermediateDirectories: false)
    }

    /// Runs a server while `body` runs, and kills it then.
    @discardableResult
    package static func with<Value>(
        _ options: RedisServerOptions = RedisServerOptions(), _ body: (RedisServer) async throws -> Value
    ) async throws -> Value {
        try await ServerCollection.with { servers in try await body(servers.start(options)) }
    }

    static func start(_ options: RedisServerOptions, _ role: Role = .standalone) async throws -> RedisServer {
        // Another process may have taken the port after it was found free.
        for _ in 0..<4 {
            let server = try await RedisServer(options, role)
            do {
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

    /// A URL of the server, without TLS, with `user:password@` if they are given.
    package func url(_ userInfo: String = "") -> String { "redis://\(userInfo)\(self.host):\(self.port)" }

    /// What the server has logged since it was started last.
    package var log: String { self.process.withLock { $0?.log } ?? "" }

    /// Sends a command as an administrator.
    ///
    /// - Throws: ``RedisError``, errors of the server among them.
    @discardableResult
    package func send(_ command: RedisCommand) async throws -> RESPValue {
        try await self.client.send(command)
    }

    /// How often the server has replied with an error code.
    package func errors(_ code: String) async throws -> Int {
        let text = try await self.send(["INFO", "errorstats"]).string ?? ""
        let line = text.split(separator: "\r\n").first { $0.hasPrefix("errorstat_\(code):count=") }
        return line.flatMap { Int($0.drop { $0 != "=" }.dropFirst()) } ?? 0
    }

    /// Kills the server, so that it has no time for anything.
    package func kill() async throws {
        try await self.process.withLock { $0 }?.kill9()
    }

    /// Starts the server again, on the same ports, after ``kill()``.
    package func restart() async throws {
        self.process.withLock { $0 }?.stop()
        try await self.launch()
    }

    /// Halts the server; its sockets stay open.
    package func pause() {
        self.process.withLock { $0 }?.signal(SIGSTOP)
    }

    /// Lets the server go on after ``pause()``.
    package func resume() {
        self.process.withLock { $0 }?.signal(SIGCONT)
    }

    func stop() async {
        self.process.withLock { $0 }?.stop()
        await self.client.close()
        for port in [self.port, self.tlsPort].compactMap({ $0 }) { FreePort.release(port) }
        try? FileManager.default.removeItem(at: self.directory)
    }

    private func launch() async throws {
        let file = self.directory.appending(path: "redis.conf")
        if !FileManager.default.fileExists(atPath: file.path) {
            try self.configuration.joined(separator: "\n").write(to: file, atomically: true, encoding: .utf8)
        }
        let arguments = [self.options.binary.path, file.path] + (self.role == .sentinel ? ["--sentinel"] : [])
        let process = try ServerProcess(arguments, in: self.directory)
        self.process.withLock { $0 = process }
        let sign = self.role == .sentinel ? "+monitor" : "Ready to accept connections"
        do {
            try await eventually("\(self.options.binary) starts") {
                process.log.contains(sign) || process.log.contains("Address already in use")
            }
        } catch {
            throw ServerFailure("\(error) \(process.log)")
        }
        if !process.log.contains(sign) { throw ServerFailure("The port is taken.") }
    }

    private var configuration: [String] {
        var lines = [
            "bind 127.0.0.1", "port \(self.port)", "dir \(self.directory.path)", "daemonize no", "unixsocket s",
        ]
        if self.role != .sentinel {
            lines += ["save \"\"", "appendonly \(self.options.isDurable ? "yes" : "no")", "appendfsync always"]
        }
        if self.role == .clusterNode { lines += ["cluster-enabled yes", "cluster-node-timeout 2000"] }
        if let password = self.options.password { lines += ["requirepass \(password)"] }
        lines += self.options.users.map { "user \($0)" }
        if let certificates = self.options.certificates, let tlsPort = self.tlsPort {
            lines += [
                "tls-port \(tlsPort)", "tls-cert-file \(certificates.server.certificate)",
                "tls-key-file \(certificates.server.key)", "tls-ca-cert-file \(certificates.authority)",
                "tls-auth-clients \(self.options.requiresClientCertificate ? "yes" : "no")",
            ]
        }
        return lines + self.options.lines
    }
}

import Foundation
import NIOCore
import NIOHTTP1
import TestSupport
import Testing

@Suite("idemptx proxy under a limit of open files", .timeLimit(.minutes(3)))
struct OpenFileTests {
    private static let warning = "The system permits fewer open files"

    private let directory: CommandProcess.Directory

    init() throws {
        self.directory = try CommandProcess.Directory()
    }

    /// A proxy that was started from a shell, after a command about limits.
    private func start(_ limit: String, _ arguments: String) async throws -> Proxy {
        let command = #"\#(limit); exec "$0" proxy --store memory --port 0 --upstream http://127.0.0.1:9 \#(arguments)"#
        let process = try CommandProcess(
            ["-c", command, CommandProcess.executable.path], of: URL(filePath: "/bin/sh"), in: self.directory)
        try await eventually("The proxy listens") { process.outputText.contains("Proxy: ") }
        return Proxy(
            process: process, server: try #require(LocalServer(announcedIn: process.outputText, after: "Proxy: ")))
    }

    @Test("responds to the operator, whatever silent clients there are")
    func silentClients() async throws {
        let proxy = try await self.start("ulimit -n 300", "--admin-port 0 --idle-timeout 1h")
        #expect(proxy.process.errorText.split(separator: Self.warning).count == 2)
        let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Upstreams/silent_clients.py")
        let clients = try CommandProcess(
            ["python3", script.path, "\(proxy.server.port)", "1100"], of: URL(filePath: "/usr/bin/env"),
            in: self.directory)
        try await eventually("The clients are there") { clients.outputText.contains("connecting") }
        try await eventually("No other client gets through") {
            (try? await proxy.server.send(.GET, "/", timeout: .milliseconds(500))) == nil
        }
        #expect(try await proxy.admin().send(.GET, "/healthz", timeout: .seconds(20)).status == 200)
        clients.signal(SIGKILL)
    }

    @Test("raises the soft limit to the hard one")
    func softLimit() async throws {
        let proxy = try await self.start("ulimit -Sn 128", "--max-connections 300 --max-upstream-connections 100")
        #expect(!proxy.process.errorText.contains(Self.warning))
    }
}

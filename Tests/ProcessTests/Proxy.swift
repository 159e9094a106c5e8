import NIOHTTP1
import TestSupport
import Testing

/// `idemptx proxy` on a free port.
struct Proxy {
    let process: CommandProcess
    let server: LocalServer

    /// Starts the proxy and waits until it listens.
    static func start(
        for upstream: LocalServer,
        _ arguments: [String] = [],
        in directory: CommandProcess.Directory,
        environment: [String: String] = [:]
    ) async throws -> Proxy {
        let process = try CommandProcess(
            ["proxy", "--port", "0", "--upstream", "http://127.0.0.1:\(upstream.port)"] + arguments, in: directory,
            environment: environment)
        try await eventually("The proxy listens") { process.outputText.contains("Proxy: ") }
        return Proxy(
            process: process, server: try #require(LocalServer(announcedIn: process.outputText, after: "Proxy: ")))
    }

    func post(_ path: String, key: String?, body: String = "a=1", headers: HTTPHeaders = [:]) async throws -> Response {
        var headers = headers
        if let key { headers.add(name: "Idempotency-Key", value: key) }
        return try await self.server.send(.POST, path, headers: headers, body: body)
    }

    /// The server for the operator, once it listens.
    func admin() async throws -> LocalServer {
        try await eventually("The admin server listens") { self.process.outputText.contains("Admin: ") }
        return try #require(LocalServer(announcedIn: self.process.outputText, after: "Admin: "))
    }
}

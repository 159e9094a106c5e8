import Foundation
import NIOHTTP1
import TestSupport
import Testing

/// The FastAPI application of `shop.py` on a free port.
struct Shop {
    struct Order: Decodable, Equatable {
        let id: Int
        let body: String
        let attempt: String?
    }

    let process: CommandProcess
    let server: LocalServer

    /// Starts the shop and waits until it listens.
    static func start(in directory: CommandProcess.Directory) async throws -> Shop {
        let packages = try #require(
            ProcessInfo.processInfo.environment["IDEMPTX_TEST_FASTAPI"],
            "FastAPI is needed: run Scripts/install-test-servers, and set the variables of .build-servers/env.")
        let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Upstreams/shop.py").path
        let process = try CommandProcess(
            ["python3", script], of: URL(filePath: "/usr/bin/env"), in: directory, environment: ["PYTHONPATH": packages]
        )
        try await eventually("The shop listens") { process.errorText.contains("Uvicorn running on") }
        return Shop(process: process, server: try #require(LocalServer(announcedIn: process.errorText)))
    }

    /// What the shop has been asked for.
    func orders() async throws -> [Order] {
        try JSONDecoder().decode([Order].self, from: Data(await self.server.send(.GET, "/orders").body.utf8))
    }
}

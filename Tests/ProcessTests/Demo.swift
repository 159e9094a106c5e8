import Foundation
import NIOCore
import NIOHTTP1
import TestSupport
import Testing

/// `idemptx demo` on a free port, and a client of it.
struct Demo {
    struct Charge: Decodable, Equatable {
        let id: Int
        let amount: Int
        let reference: String?
        let attempt: Int

        init(id: Int, amount: Int, reference: String? = nil, attempt: Int) {
            self.id = id
            self.amount = amount
            self.reference = reference
            self.attempt = attempt
        }
    }

    let process: CommandProcess
    let server: LocalServer

    var port: Int { self.server.port }

    /// Starts the demo and waits until it listens.
    static func start(
        _ arguments: [String] = [],
        in directory: CommandProcess.Directory
    ) async throws -> Demo {
        let process = try CommandProcess(["demo", "--port", "0"] + arguments, in: directory)
        try await eventually("The demo listens") {
            process.outputText.contains("The ledger")
        }
        return Demo(process: process, server: try #require(LocalServer(announcedIn: process.outputText)))
    }

    func charge(
        key: String?,
        amount: Int = 500,
        currency: String? = nil,
        latency: String? = nil,
        timeout: TimeAmount = .seconds(60)
    ) async throws -> Response {
        var headers: HTTPHeaders = ["Content-Type": "application/json"]
        if let key { headers.add(name: "Idempotency-Key", value: key) }
        let currency = currency.map { #", "currency": "\#($0)""# } ?? ""
        return try await self.server.send(
            .POST, "/charges\(latency.map { "?latency=\($0)" } ?? "")", headers: headers,
            body: #"{"amount": \#(amount)\#(currency)}"#, timeout: timeout)
    }

    /// What the ledger holds.
    func ledger() async throws -> [Charge] {
        try JSONDecoder().decode([Charge].self, from: Data(await self.send(.GET, "/charges").body.utf8))
    }

    func send(_ method: HTTPMethod, _ path: String, headers: HTTPHeaders = [:]) async throws -> Response {
        try await self.server.send(method, path, headers: headers)
    }
}

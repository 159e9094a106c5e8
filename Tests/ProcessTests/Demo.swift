import AsyncHTTPClient
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

    struct Answer: Equatable {
        let status: Int
        let headers: [String]
        let body: String

        func header(_ name: String) -> String? {
            self.headers.first { $0.lowercased().hasPrefix(name.lowercased() + ": ") }?
                .split(separator: ": ", maxSplits: 1).last.map(String.init)
        }

        /// Everything that a replay has to repeat.
        var repeatable: Answer {
            let exchange = ["date", "server", "content-length", "x-idempotency-status", "idempotent-replayed"]
            let kept = self.headers.filter { header in
                !exchange.contains { header.lowercased().hasPrefix($0 + ":") }
            }
            return Answer(status: self.status, headers: kept, body: self.body)
        }
    }

    let process: CommandProcess
    let port: Int

    /// Starts the demo and waits until it listens.
    static func start(
        _ arguments: [String] = [],
        in directory: CommandProcess.Directory
    ) async throws -> Demo {
        let process = try CommandProcess(["demo", "--port", "0"] + arguments, in: directory)
        try await eventually("The demo listens") {
            process.outputText.contains("The ledger")
        }
        let address = try #require(process.outputText.firstMatch(of: /http:\/\/127\.0\.0\.1:(\d+)/))
        return Demo(process: process, port: try #require(Int(address.1)))
    }

    func charge(
        key: String?,
        amount: Int = 500,
        currency: String? = nil,
        latency: String? = nil,
        timeout: TimeAmount = .seconds(60)
    ) async throws -> Answer {
        var request = HTTPClientRequest(
            url: "http://127.0.0.1:\(self.port)/charges\(latency.map { "?latency=\($0)" } ?? "")")
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/json")
        if let key { request.headers.add(name: "Idempotency-Key", value: key) }
        let currency = currency.map { #", "currency": "\#($0)""# } ?? ""
        request.body = .bytes(ByteBuffer(string: #"{"amount": \#(amount)\#(currency)}"#))
        return try await self.send(request, timeout: timeout)
    }

    /// What the ledger holds.
    func ledger() async throws -> [Charge] {
        try JSONDecoder().decode([Charge].self, from: Data(await self.send(.GET, "/charges").body.utf8))
    }

    func send(_ method: HTTPMethod, _ path: String, headers: HTTPHeaders = [:]) async throws -> Answer {
        var request = HTTPClientRequest(url: "http://127.0.0.1:\(self.port)\(path)")
        request.method = method
        request.headers = headers
        return try await self.send(request)
    }

    private func send(_ request: HTTPClientRequest, timeout: TimeAmount = .seconds(60)) async throws -> Answer {
        let response = try await HTTPClient.shared.execute(request, timeout: timeout)
        let body = try await response.body.collect(upTo: 1 << 20)
        return Answer(
            status: Int(response.status.code), headers: response.headers.map { "\($0.name): \($0.value)" },
            body: String(buffer: body))
    }
}

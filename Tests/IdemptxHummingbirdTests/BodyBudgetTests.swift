import Hummingbird
import HummingbirdTesting
import Idemptx
import IdemptxHummingbird
import IdemptxTesting
import TestSupport
import Testing

@Suite("Bodies that do not end", .timeLimit(.minutes(2)))
struct BodyBudgetTests {
    private let size = 1 << 20

    @Test("and come 300 at a time, of 1 MiB each, meet the budget: 503 with Retry-After, and nothing runs")
    func budget() async throws {
        let (ledger, refused) = (Ledger(), Ledger())
        // A part of the default, which others who run in this process meanwhile go by.
        let policy = IdempotencyPolicy { $0.bodyBudget = 64 << 20 }
        let router = Router()
        router.post(
            "uploads",
            use: idempotent(store: MemoryStore(), policy: policy) { (_: Request, _: BasicRequestContext) -> String in
                "\(ledger.add())"
            })
        try await Application(router: router).test(.live) { client in
            let port = try #require(client.port)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<300 {
                    group.addTask {
                        let head: String
                        do {
                            head = try await self.upload("k-\(number)", port: port)
                        } catch is CancellationError {
                            // One for which there is room.
                            return
                        }
                        guard !Task.isCancelled else { return }
                        #expect(head.hasPrefix("HTTP/1.1 503 "))
                        #expect(head.lowercased().contains("\r\nretry-after: "))
                        #expect(head.contains("body-budget-exhausted"))
                        refused.add()
                    }
                }
                // There is room for 64.
                try await eventually { refused.count >= 300 - 64 }
                #expect(ledger.count == 0)
                group.cancelAll()
                try await group.waitForAll()
            }
            try await eventually("The budget is free again") {
                let body = ByteBuffer(repeating: 7, count: self.size)
                let whole = try await client.execute(uri: "/uploads", idempotencyKey: "whole", body: body)
                return whole.status == .ok && whole.text == "1"
            }
        }
        #expect(ledger.count == 1)
    }

    /// Sends all of a request but its last byte.
    ///
    /// - Returns: What comes back; nothing if this is cancelled before.
    private func upload(_ key: String, port: Int) async throws -> String {
        try await RawConnection.open(port: port) { connection in
            try await connection.write(
                "POST /uploads HTTP/1.1\r\nHost: a\r\nIdempotency-Key: \(key)\r\nContent-Length: \(self.size)\r\n\r\n")
            try await connection.write([UInt8](repeating: 7, count: self.size - 1))
            return try await connection.read(until: "body-budget-exhausted")
        }
    }
}

import HTTPTypes
public import Idemptx

/// Puts many small records into a store.
public struct StoreFiller: Sendable {
    private static let concurrency = 64

    private let store: any IdempotencyStore

    /// Fills a store.
    ///
    /// - Parameter store: The store.
    public init(_ store: any IdempotencyStore) {
        self.store = store
    }

    /// Claims and completes keys that are new to the store.
    ///
    /// - Parameter count: How many.
    /// - Throws: What the store throws, and an error if a key is not granted.
    public func fill(count: Int) async throws {
        let run = UInt64.random(in: 0 ... .max)
        try await withThrowingTaskGroup { group in
            for first in 0..<Self.concurrency {
                group.addTask {
                    for number in stride(from: first, to: count, by: Self.concurrency) {
                        try await self.addRecord(named: "\(run)-\(number)")
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    private func addRecord(named name: String) async throws {
        let key = StorageKey(scope: .unscoped, key: try IdempotencyKey(name))
        let request = ClaimRequest(key: key, fingerprint: Fingerprint(ofBytes: Array(name.utf8)))
        guard case .granted(let claim) = try await self.store.claim(request) else { throw NotGranted() }
        let body = Array(#"{"id":1000000000,"item":"books","amount":4200,"currency":"EUR"}"#.utf8)
        let response = StoredResponse(
            status: .created, headerFields: [.contentType: "application/json; charset=utf-8"], body: body)
        guard try await self.store.complete(claim, with: .response(response), keyTTL: .seconds(86_400)) else {
            throw NotGranted()
        }
    }

    private struct NotGranted: Error {}
}

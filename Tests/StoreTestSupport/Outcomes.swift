import HTTPTypes
package import Idemptx

extension Outcome {
    /// A response of a charge.
    package static let charged = Outcome.response(
        StoredResponse(status: .created, headerFields: [.location: "/charges/1"], body: Array("charged".utf8)))
}

extension StorageKey {
    /// The key that a client calls `name`.
    package static func named(_ name: String) throws -> StorageKey {
        StorageKey(scope: .unscoped, key: try IdempotencyKey(name))
    }
}

extension IdempotencyStore {
    /// What a claim comes to or throws, in one word, for comparing.
    package func claimed(_ request: ClaimRequest) async -> String {
        do {
            return switch try await self.claim(request) {
            case .granted(let claim): "attempt \(claim.attempt)"
            case .completed(.charged): "replay"
            case .completed: "another replay"
            case .inProgress: "in progress"
            case .mismatch: "mismatch"
            case .unknown: "unknown"
            }
        } catch {
            return (error as? StoreError)?.code.rawValue ?? "\(type(of: error))"
        }
    }
}

/// What a call to a store throws; `nil` if it does not throw a `StoreError`.
package func storeError(_ call: () async throws -> Void) async -> StoreError? {
    do {
        try await call()
        return nil
    } catch {
        return error as? StoreError
    }
}

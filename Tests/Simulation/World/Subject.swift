import Idemptx

/// One logical operation: whose it is, what it is called, and its key.
struct Subject: Hashable, Sendable {
    enum Driver: Hashable, Sendable {
        /// Requests over HTTP.
        case http
        /// Calls of `run` with this name.
        case function(String)
    }

    let driver: Driver
    let caller: String
    let key: String

    static let all = [
        Subject(driver: .http, caller: "alice", key: "k-1"),
        Subject(driver: .http, caller: "bob", key: "k-1"),
        Subject(driver: .function("charge"), caller: "alice", key: "k-1"),
        Subject(driver: .function("receipt"), caller: "alice", key: "k-1"),
        Subject(driver: .http, caller: "alice", key: "k-2"),
    ]

    var scope: Scope { .principal(self.caller) }

    /// The name of its record.
    var storageKey: StorageKey? {
        guard let key = try? IdempotencyKey(self.key) else { return nil }
        return switch self.driver {
        case .http: StorageKey(scope: self.scope, key: key)
        case .function(let name): StorageKey(scope: .operation(name, for: self.scope), key: key)
        }
    }
}

import Idemptx
import ServiceLifecycle
import Synchronization

/// A store that could not be opened at the start: until it is, each call fails as that has failed last.
final class LateStore: IdempotencyStore, UnknownOutcomeCounting, Service {
    typealias Store = IdempotencyStore & UnknownOutcomeCounting & Service

    private let open: @Sendable () async throws -> any Store
    private let opened: Mutex<Result<any Store, StoreError>>

    /// - Parameters:
    ///   - failure: Why it could not be opened.
    ///   - open: Opens it.
    init(failure: StoreError, open: @escaping @Sendable () async throws -> any Store) {
        self.open = open
        self.opened = Mutex(.failure(failure))
    }

    /// Tries once to open the store, if it is not open yet, and runs it.
    func run() async throws {
        if case .failure = self.opened.withLock({ $0 }) {
            do {
                let store = try await cancelWhenGracefulShutdown { try await self.open() }
                self.opened.withLock { $0 = .success(store) }
            } catch let error as StoreError {
                self.opened.withLock { $0 = .failure(error) }
                throw error
            }
        }
        try await self.store().run()
    }

    func claim(_ request: ClaimRequest) async throws -> ClaimResult<Claim> {
        try await self.store().claim(request)
    }

    func renew(_ claim: borrowing Claim, lease: Duration) async throws -> Bool {
        try await self.store().renew(claim, lease: lease)
    }

    func complete(_ claim: borrowing Claim, with outcome: Outcome, keyTTL: Duration) async throws -> Bool {
        try await self.store().complete(claim, with: outcome, keyTTL: keyTTL)
    }

    func release(_ claim: borrowing Claim) async throws -> Bool {
        try await self.store().release(claim)
    }

    func changes(of key: StorageKey) -> AsyncStream<Void> {
        guard let store = try? self.store() else { return AsyncStream { $0.finish() } }
        return store.changes(of: key)
    }

    func unknownCount() async throws -> Int {
        try await self.store().unknownCount()
    }

    private func store() throws(StoreError) -> any Store {
        try self.opened.withLock { $0 }.get()
    }
}

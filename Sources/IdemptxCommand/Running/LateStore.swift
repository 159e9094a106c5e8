import Foundation
import Idemptx
import ServiceLifecycle
import Synchronization

/// A store that could not be prepared at the start, or not even be opened.
///
/// Until it is open, each call throws the error of the last try.
final class LateStore: IdempotencyStore, UnknownOutcomeCounting, Service {
    typealias Store = IdempotencyStore & UnknownOutcomeCounting & Service

    private let connect: @Sendable () throws -> any Store
    private let prepare: @Sendable (any Store) async throws -> Void
    private let connected: Mutex<Result<any Store, StoreError>>

    /// - Parameters:
    ///   - connected: The store, or why it could not be opened.
    ///   - connect: Opens it, which may block the thread.
    ///   - prepare: Does what its server has to be asked for.
    init(
        _ connected: Result<any Store, StoreError>,
        connect: @escaping @Sendable () throws -> any Store,
        prepare: @escaping @Sendable (any Store) async throws -> Void
    ) {
        self.connected = Mutex(connected)
        self.connect = connect
        self.prepare = prepare
    }

    /// Tries once to open the store and to prepare it, and runs it.
    func run() async throws {
        try await cancelWhenGracefulShutdown {
            if case .failure = self.connected.withLock({ $0 }) {
                let result = await Self.onThread(self.connect)
                self.connected.withLock { $0 = result }
            }
            try await self.prepare(self.store())
        }
        try await self.store().run()
    }

    /// Calls a function that may block its thread on one of its own.
    private static func onThread(
        _ connect: @escaping @Sendable () throws -> any Store
    ) async -> Result<any Store, StoreError> {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(
                    returning: Result { try connect() }.mapError {
                        $0 as? StoreError ?? StoreError(.unavailable, "The store cannot be opened: \($0).")
                    })
            }
        }
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
        try self.connected.withLock { $0 }.get()
    }
}

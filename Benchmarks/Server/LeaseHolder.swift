import Idemptx
import Synchronization

/// Runs many operations that do nothing but hold their keys.
final class LeaseHolder: Sendable {
    private let idempotency: Idempotency
    private let operations = Mutex<[Task<Void, any Error>]>([])

    init(store: any IdempotencyStore) {
        // Short leases, so that many renewals fall into a short measurement.
        self.idempotency = Idempotency(store: store, policy: IdempotencyPolicy { $0.lease = .seconds(3) })
    }

    /// Starts operations that run until ``release()``.
    ///
    /// - Parameter count: How many.
    func hold(count: Int) async throws {
        let run = UInt64.random(in: 0 ... .max)
        let started = Atomic(0)
        await withCheckedContinuation { continuation in
            self.operations.withLock { operations in
                for number in 0..<count {
                    operations.append(
                        Task {
                            try await self.idempotency.run("hold", key: "\(run)-\(number)") { _ in
                                if started.add(1, ordering: .relaxed).newValue == count { continuation.resume() }
                                try await Task.sleep(for: .seconds(600))
                            }
                        })
                }
            }
        }
    }

    /// Cancels them.
    func release() {
        self.operations.withLock { operations in
            for operation in operations { operation.cancel() }
            operations = []
        }
    }
}

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
    func hold(count: Int) async {
        let run = UInt64.random(in: 0 ... .max)
        let (started, continuation) = AsyncStream.makeStream(of: Void.self)
        for number in 0..<count {
            let operation = Task {
                try await self.idempotency.run("hold", key: "\(run)-\(number)") { _ in
                    continuation.yield()
                    try await Task.sleep(for: .seconds(600))
                }
            }
            self.operations.withLock { $0.append(operation) }
        }
        var remaining = count
        for await _ in started {
            remaining -= 1
            if remaining == 0 { return }
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

import NIOCore
import Synchronization

/// An operation that runs once for all who want its result at the same time.
///
/// Each waits no longer than until its own deadline. The operation goes on for the others.
final class Coalesced<Value: Sendable>: Sendable {
    private let eventLoop: any EventLoop
    private let running = Mutex<EventLoopFuture<Value>?>(nil)

    init(on eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    /// Joins the run that is under way, or begins one.
    @discardableResult
    func start(_ operation: @escaping @Sendable () async throws -> Value) -> EventLoopFuture<Value> {
        self.running.withLock { running in
            if let running { return running }
            let future = self.eventLoop.makeFutureWithTask {
                // Cleared before the result is returned, so that a caller that needs a newer one starts a new call.
                defer { self.running.withLock { $0 = nil } }
                return try await operation()
            }
            running = future
            return future
        }
    }

    /// Joins the run that is under way, or begins one, and waits for the result.
    func value(
        deadline: NIODeadline, _ operation: @escaping @Sendable () async throws -> Value
    ) async throws(RedisError) -> Value {
        let waiter = self.eventLoop.makePromise(of: Value.self)
        self.start(operation).cascade(to: waiter)
        let timer = self.eventLoop.scheduleTask(deadline: deadline) {
            waiter.fail(RedisError.notSent("The time was over before the cluster's servers were known."))
        }
        defer { timer.cancel() }
        do {
            return try await withTaskCancellationHandler {
                try await waiter.futureResult.get()
            } onCancel: {
                waiter.fail(RedisError.cancelled)
            }
        } catch {
            throw error as? RedisError ?? .notSent("The cluster's servers are not known: \(error).")
        }
    }
}

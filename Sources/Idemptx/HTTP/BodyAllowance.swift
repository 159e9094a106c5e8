import Synchronization

/// How much of a request body may be read: up to the limit of the policy, and within the budget of the process.
public final class BodyAllowance: Sendable {
    /// What the bodies of all requests take that are under way.
    private static let used = Atomic(0)

    /// The largest body, in bytes.
    package let maximum: Int

    private let budget: Int
    private let state = Mutex(State())

    private struct State {
        var taken = 0
        var takenDecoded = 0
        var refusal: IdempotencyProblem.Kind?
    }

    init(maximum: Int, budget: Int) {
        self.maximum = maximum
        self.budget = budget
    }

    deinit {
        self.release()
    }

    /// Asks for room for the next bytes.
    ///
    /// - Parameter count: How many there are.
    /// - Returns: `false` if there is no room: stop reading.
    public func take(_ count: Int) -> Bool {
        self.state.withLock { self.take(count, counting: &$0.taken, refusal: &$0.refusal) }
    }

    /// Asks for room for what a compressed body says, besides its bytes: its limit is the same, and its own.
    ///
    /// - Parameter count: How many bytes there are.
    /// - Returns: `false` if there is no room.
    package func takeDecoded(_ count: Int) -> Bool {
        self.state.withLock { self.take(count, counting: &$0.takenDecoded, refusal: &$0.refusal) }
    }

    private func take(_ count: Int, counting taken: inout Int, refusal: inout IdempotencyProblem.Kind?) -> Bool {
        guard count <= self.maximum - taken else {
            refusal = .bodyTooLarge
            return false
        }
        taken += count
        guard Self.used.add(count, ordering: .relaxed).newValue <= self.budget else {
            refusal = .bodyBudgetExhausted
            return false
        }
        return true
    }

    /// The body is larger than permitted, however large that is.
    package func refuse() {
        self.state.withLock { $0.refusal = .bodyTooLarge }
    }

    /// Why there was no room.
    var refusal: IdempotencyProblem.Kind? { self.state.withLock { $0.refusal } }

    /// The request is over, and its body gone.
    func release() {
        let taken = self.state.withLock { state in
            defer { (state.taken, state.takenDecoded) = (0, 0) }
            return state.taken + state.takenDecoded
        }
        Self.used.subtract(taken, ordering: .relaxed)
    }
}

/// Puts the pieces of a body together.
final class BodyCollector: Sendable {
    private let state = Mutex<[UInt8]>([])

    var bytes: [UInt8] { self.state.withLock { $0 } }

    func append(_ chunk: [UInt8]) {
        self.state.withLock { bytes in
            if bytes.isEmpty { bytes = chunk } else { bytes.append(contentsOf: chunk) }
        }
    }
}

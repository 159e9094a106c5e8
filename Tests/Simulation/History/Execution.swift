import Idemptx

/// One run of an operation.
struct Execution: Sendable {
    let id: Int
    /// The request on whose behalf it runs.
    let request: Int
    let subject: Int
    let variant: Int
    let process: Int
    let attempt: Int
    let behaviour: Behaviour
    let started: Moment
    /// Whether it runs under a lease.
    let isProtected: Bool
    /// What the store held at its start.
    let record: IdempotencyRecord?
    /// How many changes of records there were before.
    let changeCount: Int
    var effect: Moment?
    var ended: Moment?
    /// When it was cancelled, before its end.
    var cancelled: Moment?
    /// It took itself for the owner of the key at a moment at which it was not.
    var hadFalseLease = false

    var isCancelled: Bool { self.cancelled != nil }
}

/// A request as a client sent it, and what became of it.
struct SentRequest: Sendable {
    let id: Int
    /// The client's wish it belongs to; -1 for the last questions of a simulation.
    let wish: Int
    let subject: Int
    let variant: Int
    let process: Int
    let sent: Moment
    var arrived: Moment?
    var hungUp: Moment?
    /// When the engine was done with it.
    var responded: Moment?
    /// When the client had the response.
    var received: Moment?
    var response: ClientResponse?
}

/// A recovery as it was called.
struct RecoveryRecord: Sendable {
    /// What came of it.
    enum Result: Hashable, CustomStringConvertible {
        case cancelled
        case threw
        case refused
        case rerun
        case completed(execution: Int)

        var description: String {
            switch self {
            case .cancelled: "cancelled"
            case .threw: "throws"
            case .refused: "refuses"
            case .rerun: "reruns"
            case .completed(let execution): "completes with execution \(execution)"
            }
        }
    }

    let subject: Int
    let process: Int
    let began: Moment
    var ended: Moment?
    var result: Result?
}

/// The life of a process.
struct ProcessRecord: Sendable {
    let id: Int
    let slot: Int
    let began: Moment
    var died: Moment?
}

/// A call to the store, as the process that made it saw it.
struct CallRecord: Sendable {
    let name: String
    let owner: OwnerToken
    let process: Int
    let began: Moment
    var replied: Moment?
    var isRefused = false
}

public import HTTPTypes

/// Which answers are kept for replays, and which ones free the key for another try.
///
/// 401, 408, 425, 429 and 503 say that the request was not processed, so every policy here releases them.
public struct ReplayPolicy: Sendable {
    /// What becomes of a key once its operation has answered.
    public enum Disposition: Hashable, Sendable {
        /// The answer is stored and replayed.
        case keep
        /// The key is freed; a retry runs the operation again.
        case release
        /// The operation is done, its answer is not kept; a retry is told so.
        case tombstone
    }

    private let decide: @Sendable (HTTPResponse) -> Disposition

    /// Decides by a rule of your own.
    ///
    /// - Parameter decide: Called with the head of each final answer.
    public init(_ decide: @escaping @Sendable (HTTPResponse) -> Disposition) {
        self.decide = decide
    }

    /// Keeps every answer but the five, server errors included: a 500 or 504 does not tell whether the operation had an
    /// effect, and only a record of it stops a second run.
    public static let atMostOnce = ReplayPolicy { Self.saysNotProcessed($0) ? .release : .keep }

    /// Keeps every answer but server errors and the five.
    ///
    /// For operations that have no effect when they fail.
    public static let retryServerErrors = ReplayPolicy {
        Self.saysNotProcessed($0) || $0.status.kind == .serverError ? .release : .keep
    }

    /// Keeps successes and redirections only.
    public static let successesOnly = ReplayPolicy {
        [.successful, .redirection].contains($0.status.kind) ? .keep : .release
    }

    /// What becomes of the key.
    ///
    /// - Parameter head: Status and header fields of the answer.
    /// - Returns: The decision.
    public func disposition(of head: HTTPResponse) -> Disposition {
        self.decide(head)
    }

    private static func saysNotProcessed(_ head: HTTPResponse) -> Bool {
        [401, 408, 425, 429, 503].contains(head.status.code)
    }
}

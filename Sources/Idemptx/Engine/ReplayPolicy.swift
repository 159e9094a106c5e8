public import HTTPTypes

/// What becomes of a key once its operation has ended.
public enum Disposition: String, Hashable, Sendable, CaseIterable {
    /// The response is stored and replayed.
    case keep
    /// Nothing was done: the key is freed, and a retry runs the operation.
    case release
    /// The operation is done, its response is not kept; a retry is told so.
    case tombstone
    /// It is not known whether anything was done: the rule for unknown outcomes decides.
    case unknown
}

/// Which responses are kept for replays, and which ones free the key for another try.
public struct ReplayPolicy: Sendable {
    private let decide: @Sendable (HTTPResponse) -> Disposition

    /// Decides by a rule of your own.
    ///
    /// - Parameter decide: Called with the head of each final response.
    public init(_ decide: @escaping @Sendable (HTTPResponse) -> Disposition) {
        self.decide = decide
    }

    /// Keeps every response that does not say that nothing was done.
    ///
    /// - 401, 407, 425 and 429 say that the request was not processed, 307 and 308 that it has to be sent elsewhere: they
    ///   free the key.
    /// - 408 and 503 leave the outcome unknown: a gateway in between says the same after the operation has run.
    /// - Everything else is kept, server errors included: a 500 or 504 does not tell whether the operation had an effect,
    ///   and only a record of it stops a second run.
    public static let atMostOnce = ReplayPolicy { head in
        if Self.saysNothingWasDone(head) { return .release }
        return [408, 503].contains(head.status.code) ? .unknown : .keep
    }

    /// Keeps every response but server errors, 408, and those that say that nothing was done.
    ///
    /// For operations that have no effect when they fail.
    public static let retryServerErrors = ReplayPolicy { head in
        let isFailure = head.status.kind == .serverError || head.status.code == 408
        return isFailure || Self.saysNothingWasDone(head) ? .release : .keep
    }

    /// Keeps successes and redirections only, except for 307 and 308.
    public static let successesOnly = ReplayPolicy { head in
        let isSuccess = [.successful, .redirection].contains(head.status.kind)
        return isSuccess && !Self.saysNothingWasDone(head) ? .keep : .release
    }

    /// What becomes of the key.
    ///
    /// - Parameter head: Status and header fields of the response.
    /// - Returns: The decision.
    package func disposition(of head: HTTPResponse) -> Disposition {
        self.decide(head)
    }

    private static func saysNothingWasDone(_ head: HTTPResponse) -> Bool {
        switch head.status.code {
        case 307, 308, 401, 407, 425, 429: true
        default: false
        }
    }
}

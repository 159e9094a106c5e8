/// How an attempt to connect, or a connection, came to its end.
enum ConnectionEnd: Hashable {
    /// It did not come about, or broke.
    case lost(String)
    /// The peer sent what no server sends.
    case violation(String)
    /// The server, or its certificate, does not let this client in.
    case refused(String)

    init(_ error: RedisError) {
        switch error {
        case .refused(let sentence): self = .refused(sentence)
        default: self = .lost("\(error)")
        }
    }

    /// What commands are told that had been sent.
    var errorAfterSending: RedisError {
        switch self {
        case .lost(let sentence), .refused(let sentence): .replyLost(sentence)
        case .violation(let sentence): .protocolViolation(sentence)
        }
    }

    /// What commands are told that had not been sent.
    var errorBeforeSending: RedisError {
        switch self {
        case .lost(let sentence), .violation(let sentence): .notSent(sentence)
        case .refused(let sentence): .refused(sentence)
        }
    }

    /// Whether another attempt is as good as sure to end in the same way.
    var isLasting: Bool {
        if case .refused = self { true } else { false }
    }
}

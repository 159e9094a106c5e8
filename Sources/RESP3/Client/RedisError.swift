/// Why a command has no reply, or not the one that was hoped for.
///
/// The cases tell apart what a retry depends on: whether the command can have run. No
/// sentence holds an argument of a command or a credential.
package enum RedisError: Error, Hashable, Sendable {
    /// The command never left this process: the server cannot be reached, the time was over before, or the client is
    /// closed.
    case notSent(String)

    /// The command never left this process, because too many are waiting already.
    case queueFull

    /// The command never left this process: the server, or its certificate, does not let this client in.
    ///
    /// It stays so until a password, a permission or a setting is changed.
    case refused(String)

    /// The command left, and no reply came back: the connection was lost, or the time was over.
    ///
    /// It may have run. It may even run later, if the server was only halted.
    case replyLost(String)

    /// The command left, and what came back is not the protocol.
    ///
    /// It may have run.
    case protocolViolation(String)

    /// The task was cancelled while it waited.
    ///
    /// The command may have run.
    case cancelled

    /// The server replied with an error.
    case server(ServerError)

    /// Whether the command can have run, although there is no reply to it.
    package var mayHaveRun: Bool {
        switch self {
        case .replyLost, .protocolViolation, .cancelled: true
        case .notSent, .queueFull, .refused, .server: false
        }
    }
}

extension RedisError {
    static let closed = RedisError.notSent("The client is closed.")
    static let tooLate = RedisError.notSent("The time was over before it could be sent.")
}

extension RedisError: CustomStringConvertible {
    /// One sentence for a person.
    package var description: String {
        switch self {
        case .notSent(let sentence), .refused(let sentence): sentence
        case .queueFull: "Too many commands are waiting."
        case .replyLost(let sentence): "The reply was lost: \(sentence)"
        case .protocolViolation(let sentence): "The server broke the protocol: \(sentence)"
        case .cancelled: "The task was cancelled."
        case .server(let error): "The server replied: \(error)"
        }
    }
}

/// What is to be done about a guarded request.
public enum HTTPAdmission: ~Copyable, Sendable {
    /// The operation is to be run.
    case execute(Execution)
    /// The request has this answer.
    case answer(HTTPAnswer)
    /// The request passes untouched, with all of its body.
    case pass
}

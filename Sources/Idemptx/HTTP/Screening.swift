/// What the head of a request says about the way it takes.
public enum Screening: Sendable {
    /// The request passes untouched.
    case pass
    /// The request is refused with this answer.
    case answer(HTTPAnswer)
    /// The request has a key, or may have one in its body: find out its ``Scope``, read its body, and ask
    /// ``Idempotency/admit(_:scope:)``.
    case guarded(GuardedRequest)
}

/// Which connection to the upstream a request may be sent over.
package enum ConnectionDemand: Sendable {
    /// Any that is not known to be closed.
    case any
    /// One that was used just now and is not closed, or a fresh one.
    case seenAlive
    /// A connection that has not been used.
    case fresh
}

/// How the end of a body is found (RFC 9112, section 6).
package enum BodyFraming: Hashable, Sendable {
    case none
    case length(Int)
    case chunked
    /// The body of a response ends with the connection.
    case untilClose
}

/// How much of a reply is accepted.
///
/// A reply that exceeds a limit ends the connection before memory is allocated for its announced size.
package struct RESPLimits: Hashable, Sendable {
    /// The longest string, in bytes.
    package var bulkSize = 64 << 20
    /// The largest reply, in bytes on the wire.
    package var replySize = 128 << 20
    /// The most values in one reply, all levels together.
    package var elements = 1 << 20
    /// The deepest nesting of one reply.
    package var depth = 32

    /// The longest line: a status, an error, or the head of something longer.
    let lineSize = 64 << 10

    /// The default limits.
    package init() {}
}

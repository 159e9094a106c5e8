/// Why there is no response.
///
/// On which of the two it is depends whether the request may be sent again.
package struct UpstreamFailure: Error, Sendable, CustomStringConvertible {
    /// What the upstream may have got of the request.
    package enum Extent: Sendable {
        /// Nothing: nothing ran.
        case notSent
        /// Some or all of it.
        case mayHaveBeenProcessed
    }

    package let extent: Extent
    /// Whether the upstream kept the proxy waiting for too long.
    package let isTimeout: Bool
    /// Whether a connection that had been used before was closed without a word: likely it was closed before the request
    /// came (RFC 9112, section 9.3.1).
    let isStaleConnection: Bool
    /// Whether there was a response, with a head that is larger than the proxy permits: the request was processed.
    package let isHeadTooLarge: Bool
    /// What happened, for the log.
    package let description: String

    init(
        _ extent: Extent, isTimeout: Bool = false, isStaleConnection: Bool = false, isHeadTooLarge: Bool = false,
        _ description: String
    ) {
        self.extent = extent
        self.isTimeout = isTimeout
        self.isStaleConnection = isStaleConnection
        self.isHeadTooLarge = isHeadTooLarge
        self.description = description
    }

    package var problem: ProxyFailure {
        switch self.extent {
        case .notSent: .upstreamUnreachable
        case .mayHaveBeenProcessed: self.isTimeout ? .upstreamTimeout : .upstreamFailed
        }
    }
}

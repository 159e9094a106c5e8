/// Why the proxy itself responds to a request.
package enum ProxyFailure: String, Error, CaseIterable, Sendable {
    /// The request did not reach the upstream: nothing ran.
    case upstreamUnreachable
    /// The upstream kept the proxy waiting for too long. The request may have been processed.
    case upstreamTimeout
    /// The connection was lost, or what came over it was no HTTP. The request may have been processed.
    case upstreamFailed
    /// The body is larger than the proxy permits.
    case requestTooLarge
    /// The bodies of other requests take all the room there is: nothing ran.
    case overloaded
    /// The head of the request is larger than the proxy permits.
    case headerTooLarge
    /// The request cannot be forwarded without changing what it means.
    case badRequest
    /// The proxy is no tunnel, and does not know every method.
    case notSupported
    /// The request has passed this proxy before.
    case loopDetected
    /// The handler failed.
    case handlerFailed

    package var status: Int {
        switch self {
        case .upstreamUnreachable, .upstreamFailed: 502
        case .upstreamTimeout: 504
        case .requestTooLarge: 413
        case .overloaded: 503
        case .headerTooLarge: 431
        case .badRequest: 400
        case .notSupported: 501
        case .loopDetected: 508
        case .handlerFailed: 500
        }
    }
}

import HTTPProxy
import HTTPTypes
import Idemptx

extension ProxyFailure {
    /// What the client is told: problem details (RFC 9457) with a stable type, and without any address.
    ///
    /// - Parameter typeBase: What the `type` begins with.
    /// - Returns: The problem.
    func problem(typeBase: String) -> ProblemDetails {
        ProblemDetails(
            type: typeBase + self.name, title: self.title, status: HTTPResponse.Status(code: self.status))
    }

    /// The end of the problem's `type`, and its name in metrics.
    var name: String {
        switch self {
        case .upstreamUnreachable: "upstream-unreachable"
        case .upstreamTimeout: "upstream-timeout"
        case .upstreamFailed: "upstream-failed"
        case .requestTooLarge: "request-too-large"
        case .overloaded: "overloaded"
        case .headerTooLarge: "request-header-too-large"
        case .badRequest: "bad-request"
        case .notSupported: "not-supported"
        case .loopDetected: "loop-detected"
        case .handlerFailed: "proxy-failed"
        }
    }

    private var title: String {
        switch self {
        case .upstreamUnreachable: "The upstream cannot be reached; the request was not processed"
        case .upstreamTimeout: "The upstream did not respond in time; the request may have been processed"
        case .upstreamFailed: "The upstream gave no proper response; the request may have been processed"
        case .requestTooLarge: "The request body is too large"
        case .overloaded: "The proxy has no room for the request body; the request was not processed"
        case .headerTooLarge: "The request header is too large"
        case .badRequest: "The request cannot be forwarded"
        case .notSupported: "The method is not supported by this proxy"
        case .loopDetected: "The request has passed this proxy before"
        case .handlerFailed: "The proxy failed"
        }
    }
}

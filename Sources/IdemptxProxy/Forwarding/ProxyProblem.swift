import HTTPTypes
import Hummingbird
import Idemptx
import IdemptxHummingbird

/// Why the proxy itself answers a request: problem details (RFC 9457) with a stable type, and without any address.
struct ProxyProblem: HTTPResponseError {
    /// The raw value is the end of the problem's `type`.
    enum Kind: String, CaseIterable, Sendable {
        /// The request did not reach the upstream: nothing ran.
        case upstreamUnreachable = "upstream-unreachable"
        /// The upstream kept the proxy waiting for too long. The request may have been processed.
        case upstreamTimeout = "upstream-timeout"
        /// The connection was lost, or what came over it was no HTTP. The request may have been processed.
        case upstreamFailed = "upstream-failed"
        /// The body is larger than the proxy permits.
        case requestTooLarge = "request-too-large"
        /// The head of the request is larger than the proxy permits.
        case headerTooLarge = "request-header-too-large"
        /// The request cannot be passed on without changing what it means.
        case badRequest = "bad-request"
        /// The proxy is no tunnel.
        case notSupported = "not-supported"
    }

    let kind: Kind

    var status: HTTPResponse.Status { self.kind.status }

    init(_ kind: Kind) {
        self.kind = kind
    }

    /// What went wrong with a request that the upstream may have got.
    init(answering error: any Error) {
        self.init(error is UpstreamTimedOut ? .upstreamTimeout : .upstreamFailed)
    }

    private var title: String {
        switch self.kind {
        case .upstreamUnreachable: "The upstream cannot be reached; the request was not processed"
        case .upstreamTimeout: "The upstream did not answer in time; the request may have been processed"
        case .upstreamFailed: "The upstream gave no proper answer; the request may have been processed"
        case .requestTooLarge: "The request body is too large"
        case .headerTooLarge: "The request header is too large"
        case .badRequest: "The request cannot be forwarded"
        case .notSupported: "The method is not supported by this proxy"
        }
    }

    func response(under policy: IdempotencyPolicy) -> ResponseParts {
        ProblemDetails(type: policy.problemTypeBase + self.kind.rawValue, title: self.title, status: self.status)
            .response
    }

    func response(from request: Request, context: some RequestContext) -> Response {
        Response(self.response(under: (context as? ProxyContext)?.policy ?? IdempotencyPolicy()))
    }
}

extension ProxyProblem.Kind {
    var status: HTTPResponse.Status {
        switch self {
        case .upstreamUnreachable, .upstreamFailed: .badGateway
        case .upstreamTimeout: .gatewayTimeout
        case .requestTooLarge: .contentTooLarge
        case .headerTooLarge: .requestHeaderFieldsTooLarge
        case .badRequest: .badRequest
        case .notSupported: .notImplemented
        }
    }
}

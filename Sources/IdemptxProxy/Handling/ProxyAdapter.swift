import HTTPProxy
import HTTPTypes
import Idemptx
import Logging
import NIOCore

/// Translates between the proxy and the layer.
struct ProxyAdapter: HTTPAdapter {
    /// What the `type` of a problem begins with.
    let typeBase: String
    let logger: Logger

    func head(of request: ProxiedRequest) -> HTTPRequest { request.head }

    func readBody(of request: inout ProxiedRequest, within allowance: BodyAllowance) async throws -> [UInt8]? {
        for try await chunk in request.handled.body {
            let isAllowed = allowance.take(chunk.readableBytes)
            if request.body.readableBytes == 0 {
                request.body = chunk
            } else {
                request.body.writeImmutableBuffer(chunk)
            }
            guard isAllowed else { return nil }
        }
        return Array(request.body.readableBytesView)
    }

    func takeApart(_ response: ProxiedResponse) -> ResponseParts {
        switch response {
        case .made(let parts): parts
        // Only what is not guarded is forwarded, and nothing of that is recorded.
        case .forwarded: ResponseParts(head: HTTPResponse(status: .internalServerError))
        }
    }

    func assemble(_ parts: ResponseParts) -> ProxiedResponse { .made(parts) }

    func response(to error: any Error, for request: ProxiedRequest) -> ProxiedResponse {
        let failure = error as? ProxyFailure ?? (error as? UpstreamFailure)?.problem
        if failure == nil {
            self.logger.error("A request failed", metadata: ["error.type": "\(type(of: error))"])
        }
        return .made((failure ?? .handlerFailed).problem(typeBase: self.typeBase).response)
    }
}

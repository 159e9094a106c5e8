import HTTPProxy
import HTTPTypes
import Idemptx
import Logging
import NIOCore

/// Translates between the proxy and the layer.
struct ProxyAdapter: HTTPAdapter {
    /// What the `type` of a problem begins with.
    let typeBase: String
    /// Whether a body that cannot be decoded is refused; if nothing is enforced, it passes.
    let isEnforcing: Bool
    let logger: Logger

    init(under policy: SharedPolicy, logger: Logger) {
        self.typeBase = policy.problemTypeBase
        self.isEnforcing = policy.mode == .enforce
        self.logger = logger
    }

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
        guard let coding = ContentCoding(of: request.head), request.body.readableBytes > 0 else {
            return Array(request.body.readableBytesView)
        }
        return try self.decoded(request.body, from: coding, within: allowance)
    }

    /// What a body says, however it was compressed; the upstream gets it as it was sent.
    private func decoded(
        _ body: ByteBuffer, from coding: ContentCoding, within allowance: BodyAllowance
    ) throws(ProxyFailure) -> [UInt8]? {
        do {
            guard let decoded = try coding.decoded(body, upTo: allowance.maximum) else {
                allowance.refuse()
                return nil
            }
            return allowance.takeDecoded(decoded.count) ? decoded : nil
        } catch {
            guard self.isEnforcing else { return Array(body.readableBytesView) }
            throw .badRequest
        }
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

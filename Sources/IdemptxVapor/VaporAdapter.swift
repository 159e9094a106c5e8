#if Vapor
import HTTPTypes
import Idemptx
import NIOCore
import NIOHTTP1
import Vapor

/// Translates between Vapor and the layer.
struct VaporAdapter: HTTPAdapter {
    let eventLoop: any EventLoop
    let errorResponse: @Sendable (Request, any Error) -> Response

    func head(of request: Request) -> HTTPRequest {
        HTTPRequest(
            method: HTTPRequest.Method(request.method.rawValue) ?? .post, scheme: "http",
            authority: request.headers.first(name: .host), path: request.url.string,
            headerFields: HTTPFields(request.headers))
    }

    func readBody(of request: inout Request, within allowance: BodyAllowance) async throws -> [UInt8]? {
        if let body = request.body.data {
            return allowance.take(body.readableBytes) ? Array(body.readableBytesView) : nil
        }
        guard let body = try await request.body.read(within: allowance, on: self.eventLoop) else {
            request.hasLostItsBody = true
            return nil
        }
        if body.readableBytes > 0 { try request.content.encode(true, using: ReadyBody(buffer: body)) }
        return Array(body.readableBytesView)
    }

    func takeApart(_ response: Response) -> ResponseParts {
        var fields = HTTPFields(response.headers)
        for name in [HTTPField.Name.contentLength, .transferEncoding] { fields[name] = nil }
        let head = HTTPResponse(
            status: .init(code: Int(response.status.code), reasonPhrase: response.status.reasonPhrase),
            headerFields: fields)
        if let stream = response.recordableStream {
            return ResponseParts(
                head: head,
                body: .producer(length: nil) { write in
                    try await stream(write)
                    return nil
                })
        }
        let body = response.body
        if let buffer = body.buffer { return ResponseParts(head: head, body: .bytes(Array(buffer.readableBytesView))) }
        if body.count == 0 { return ResponseParts(head: head) }
        return ResponseParts(
            head: head,
            body: .producer(length: body.count < 0 ? nil : body.count) { write in
                // Vapor hands out the stream of a response only as a whole.
                let whole = try await body.collect(on: self.eventLoop).get()
                if let whole { try await write(Array(whole.readableBytesView)) }
                return nil
            })
    }

    func assemble(_ parts: ResponseParts) -> Response {
        let body: Response.Body =
            switch parts.body {
            case .bytes(let bytes, _): bytes.isEmpty ? .empty : .init(buffer: ByteBuffer(bytes: bytes))
            case .producer(let length, let produce):
                .init(producer: { write in _ = try await produce(write) }, count: length ?? -1)
            }
        let status = parts.head.status
        return Response(
            status: .init(statusCode: status.code, reasonPhrase: status.reasonPhrase),
            headers: HTTPHeaders(parts.head.headerFields.map { ($0.name.rawName, $0.value) }), body: body)
    }

    func response(to error: any Error, for request: Request) -> Response {
        self.errorResponse(request, error)
    }
}
#endif

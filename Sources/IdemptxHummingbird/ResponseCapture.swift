import HTTPTypes
import Hummingbird
import Idemptx

/// Hands the answer of an operation to its execution.
enum ResponseCapture {
    /// An answer of known length is stored before this returns; one of unknown length while it is sent.
    static func capture(_ response: Response, by execution: consuming Execution) async -> Response {
        guard let length = response.body.contentLength else {
            let (head, recorder) = execution.stream(response.head)
            return Response(head, body: recorder.map { ResponseBody(response.body, recordedBy: $0) } ?? response.body)
        }
        guard length <= execution.captureLimit else {
            return Response(await execution.finish(response.head, body: .notCaptured), body: response.body)
        }
        do {
            let body = try await CollectedBody(of: response.body, length: length)
            let bytes = Array(body.bytes.readableBytesView)
            return Response(await execution.finish(response.head, body: .bytes(bytes)), body: body.responseBody)
        } catch {
            // Nothing has been sent yet, so that this is like any other failure of the handler.
            let head = HTTPResponse(status: .internalServerError)
            return Response(await execution.finish(head, body: .bytes([])), body: ResponseBody())
        }
    }
}

extension Response {
    fileprivate init(_ head: HTTPResponse, body: ResponseBody) {
        self.init(status: head.status, headers: head.headerFields, body: body)
    }
}

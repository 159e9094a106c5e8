import HTTPTypes
import Hummingbird
import Idemptx

/// Hands the answer of an operation to its execution.
enum ResponseCapture {
    /// An answer of known length is stored before this returns; one of unknown length while it is sent.
    ///
    /// - Parameters:
    ///   - response: The answer.
    ///   - execution: What it is the answer of.
    ///   - onFailure: Makes an answer of what the body throws before anything has been sent.
    /// - Returns: The answer to send.
    static func capture(
        _ response: Response,
        by execution: consuming Execution,
        onFailure: (any Error) -> Response
    ) async -> Response {
        guard let length = response.body.contentLength else {
            let (head, recorder) = execution.stream(response.head)
            return Response(head, body: recorder.map { ResponseBody(response.body, recordedBy: $0) } ?? response.body)
        }
        guard length <= execution.captureLimit else {
            return Response(await execution.finish(response.head, body: .notCaptured), body: response.body)
        }
        let (answer, body) = await self.collect(response, length: length, onFailure: onFailure)
        let bytes = Array(body.bytes.readableBytesView)
        return Response(await execution.finish(answer.head, body: .bytes(bytes)), body: body.responseBody)
    }

    /// Produces all of an answer.
    ///
    /// Nothing has been sent yet, so that a body that fails is like any other failure of the handler.
    private static func collect(
        _ response: Response,
        length: Int,
        onFailure: (any Error) -> Response
    ) async -> (Response, CollectedBody) {
        do {
            // In a task of its own, which the cancellation of the request does not reach: the operation has run.
            let body = response.body
            return (response, try await Task { try await CollectedBody(of: body, length: length) }.value)
        } catch {
            let failure = onFailure(error)
            if let length = failure.body.contentLength,
                let body = try? await CollectedBody(of: failure.body, length: length)
            {
                return (failure, body)
            }
            return (Response(status: .internalServerError), CollectedBody())
        }
    }
}

extension Response {
    fileprivate init(_ head: HTTPResponse, body: ResponseBody) {
        self.init(status: head.status, headers: head.headerFields, body: body)
    }
}

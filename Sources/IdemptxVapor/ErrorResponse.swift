#if Vapor
import NIOHTTP1
import Vapor

extension VaporAdapter {
    /// What Vapor's `ErrorMiddleware` sends, so that it can be recorded.
    private struct Report: Encodable {
        var error = true
        let reason: String
    }

    /// The response that Vapor's `ErrorMiddleware` makes of an error, but that it never quotes an unknown one: the response
    /// is stored.
    static func defaultResponse(to error: any Error, for request: Request) -> Response {
        request.logger.report(error: error)
        let abort = error as? any AbortError
        let reason = abort?.reason ?? (error as? any DebuggableError)?.reason ?? "Something went wrong."
        let response = Response(status: abort?.status ?? .internalServerError, headers: abort?.headers ?? [:])
        do {
            try response.content.encode(Report(reason: reason), as: .json)
        } catch {
            response.body = .init(string: reason)
        }
        return response
    }
}
#endif

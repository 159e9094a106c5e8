import NIOCore
import NIOHTTP1

/// A request over HTTP/1 whose response is not complete.
final class OpenRequest {
    var process: (any RequestProcess)?
    let isHead: Bool
    let isHTTP10: Bool
    /// Whether the connection ends with the response.
    var closes: Bool
    var isComplete = false
    var hasHead = false
    var isChunked = false
    var hasBody = true
    var isResponseComplete = false
    var isReported = false
    var record: RequestRecord
    /// What the handler changes of the response.
    var changes: FieldChanges?

    /// - Parameters:
    ///   - head: The head; `nil` if it could not be read.
    ///   - client: Who sent it.
    init(_ head: HTTPRequestHead?, from client: ClientAddress) {
        self.isHead = head?.method == .HEAD
        self.isHTTP10 = head.map { $0.version.minor == 0 } ?? false
        self.closes = head.map { $0.version.minor == 0 || !$0.isKeepAlive } ?? true
        self.record = RequestRecord(method: head?.method.rawValue, target: head?.uri, client: client.text)
    }
}

public import HTTPTypes

/// What the layer has to know of an HTTP framework: five translations, and no decision.
///
/// ``Idempotency/respond(to:through:scope:policy:operation:)`` leads a request through all of its steps. See
/// <doc:WritingAnAdapter>.
public protocol HTTPAdapter<Request, Response> {
    /// The framework's request.
    associatedtype Request

    /// The framework's response.
    associatedtype Response

    /// The head of a request as it was received: method, authority, path with query, and all header fields.
    ///
    /// - Parameter request: The request.
    /// - Returns: Its head.
    func head(of request: Request) -> HTTPRequest

    /// Reads the body of a request.
    ///
    /// Ask `allowance` before keeping each piece, and stop if it refuses. Afterwards, `request` has to offer its whole body
    /// again, also if that was not read to its end.
    ///
    /// - Parameters:
    ///   - request: The request.
    ///   - allowance: How much may be read.
    /// - Returns: The body, or `nil` if there is more than `allowance` lets pass.
    /// - Throws: An error if the client left before the end: half a body must not be taken for the whole.
    func readBody(of request: inout Request, within allowance: BodyAllowance) async throws -> [UInt8]?

    /// Takes a response apart.
    ///
    /// - Parameter response: What the operation returned.
    /// - Returns: Its head, and its body or how to make it.
    func takeApart(_ response: Response) -> ResponseParts

    /// Makes a response.
    ///
    /// - Parameter parts: Head and body, in the form that ``takeApart(_:)`` yields.
    /// - Returns: The response to send.
    func assemble(_ parts: ResponseParts) -> Response

    /// The response that the framework makes of an error outside of the layer, where nothing can record it.
    ///
    /// - Parameters:
    ///   - error: What the operation threw.
    ///   - request: The request it was thrown for.
    /// - Returns: The response.
    func response(to error: any Error, for request: Request) -> Response
}

/// A response in two parts.
public struct ResponseParts: Sendable {
    /// The body of a response.
    public enum Body: Sendable {
        /// All of it, and the fields behind it.
        case bytes([UInt8], trailers: HTTPFields? = nil)
        /// A function that writes it piece by piece, returns the fields behind it, and throws if it has no proper end.
        /// Its length is `nil` if it is not known beforehand: a stream.
        case producer(length: Int?, @Sendable (_ write: @escaping BodyWriter) async throws -> HTTPFields?)
    }

    /// Status and header fields, without framing: `Content-Length` is the server's business.
    public var head: HTTPResponse

    /// The body.
    public var body: Body

    /// Creates a response.
    ///
    /// - Parameters:
    ///   - head: Status and header fields.
    ///   - body: The body.
    public init(head: HTTPResponse, body: Body = .bytes([])) {
        self.head = head
        self.body = body
    }

    /// The body, if it has been made.
    package var bytes: [UInt8]? {
        guard case .bytes(let bytes, _) = self.body else { return nil }
        return bytes
    }

    /// The response that repeats `response`.
    init(replaying response: StoredResponse) {
        self.init(
            head: HTTPResponse(status: response.status, headerFields: response.headerFields),
            body: .bytes(response.body))
    }
}

/// Takes the next bytes of a body, and returns when there is room for more.
///
/// It throws an error if the rest is not needed.
public typealias BodyWriter = @Sendable ([UInt8]) async throws -> Void

extension ResponseParts {
    /// The body has no proper end: it is not as long as announced.
    private struct Incomplete: Error {}

    /// Makes all of a body of known length, if it is no larger than `limit`.
    ///
    /// - Throws: What its producer throws.
    mutating func collect(upTo limit: Int) async throws {
        guard case .producer(let length?, let produce) = self.body, length <= limit else { return }
        let collector = BodyCollector()
        let trailers = try await produce { collector.append($0) }
        let bytes = collector.bytes
        guard bytes.count == length else { throw Incomplete() }
        self.body = .bytes(bytes, trailers: trailers)
    }
}

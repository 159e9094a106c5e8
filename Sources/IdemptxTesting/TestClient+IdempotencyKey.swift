// Authors of stores test without Hummingbird, and need not fetch it.
#if Hummingbird
public import HTTPTypes
public import HummingbirdTesting
public import Idemptx
public import NIOCore

extension TestClientProtocol {
    /// Sends a request with an `Idempotency-Key`.
    ///
    /// ```swift
    /// let first = try await client.execute(uri: "/charges", idempotencyKey: "k-1", body: order)
    /// let again = try await client.execute(uri: "/charges", idempotencyKey: "k-1", body: order)
    /// #expect(again.isReplay && again.body == first.body)
    /// ```
    ///
    /// - Parameters:
    ///   - uri: The path, with the query.
    ///   - method: The method.
    ///   - headers: Further header fields.
    ///   - idempotencyKey: The key, sent as it is.
    ///   - body: The body.
    /// - Returns: The response.
    /// - Throws: What the client throws.
    public func execute(
        uri: String,
        method: HTTPRequest.Method = .post,
        headers: HTTPFields = [:],
        idempotencyKey: String,
        body: ByteBuffer? = nil
    ) async throws -> TestResponse {
        var headers = headers
        headers.append(HTTPField(name: .idempotencyKey, value: idempotencyKey))
        return try await self.executeRequest(uri: uri, method: method, headers: headers, body: body)
    }
}

extension TestResponse {
    /// Whether the response is that of an earlier request.
    public var isReplay: Bool { self.headers[.idempotentReplayed] == "true" }

    /// How the response came about; `nil` if the request was refused or is not guarded.
    public var idempotencyStatus: IdempotencyStatus? {
        self.headers[.idempotencyStatus].flatMap(IdempotencyStatus.init)
    }
}
#endif

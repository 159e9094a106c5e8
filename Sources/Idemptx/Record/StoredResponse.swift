public import HTTPTypes

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The response of an operation as a store keeps it: status, header fields in their order, and the bytes of the body.
///
/// Repeated fields stay apart and bytes stay as they were, so that a replay is the first response again. Trailers are not
/// kept (RFC 9110, section 6.5.1 permits to discard them).
public struct StoredResponse: Hashable, Sendable {
    /// The final status, with its reason phrase.
    package var status: HTTPResponse.Status

    /// The header fields that a replay sends; see ``IdempotencyPolicy/droppedHeaders`` for those it does not.
    package var headerFields: HTTPFields

    /// The body, unframed and without content coding of the connection.
    package var body: [UInt8]

    /// Creates a stored response.
    ///
    /// - Parameters:
    ///   - status: The final status.
    ///   - headerFields: The header fields that a replay sends.
    ///   - body: The body.
    public init(status: HTTPResponse.Status, headerFields: HTTPFields = [:], body: [UInt8] = []) {
        self.status = status
        self.headerFields = headerFields
        self.body = body
    }
}

extension StoredResponse {
    /// The result of a function: its JSON, with the status 200.
    ///
    /// - Parameter value: The result.
    /// - Throws: What `value` throws when it is encoded.
    package init(json value: some Encodable) throws {
        self.init(status: .ok, body: Array(try JSONEncoder().encode(value)))
    }
}

package import HTTPTypes

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The JSON object that describes a problem (RFC 9457, section 3).
package struct ProblemDetails: Encodable {
    private enum CodingKeys: String, CodingKey {
        case type
        case title
        case status
        case reason
        case retryAfter = "retry_after"
        case originalStatus = "original_status"
        case location
    }

    private let type: String
    private let title: String
    private let status: Int
    var reason: String?
    var retryAfter: Int?
    var originalStatus: Int?
    var location: String?

    package init(type: String, title: String, status: HTTPResponse.Status) {
        self.type = type
        self.title = title
        self.status = status.code
    }

    /// The problem as a response, which no cache may keep.
    package var response: ResponseParts {
        var fields: HTTPFields = [.contentType: "application/problem+json", .cacheControl: "no-store"]
        if let retryAfter { fields[.retryAfter] = "\(retryAfter)" }
        return ResponseParts(
            head: HTTPResponse(status: HTTPResponse.Status(code: self.status), headerFields: fields),
            body: .bytes(self.json))
    }

    private var json: [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Texts and integers always encode; an empty body would still carry the status.
        return (try? encoder.encode(self)).map(Array.init) ?? []
    }
}

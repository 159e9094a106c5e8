package import HTTPTypes

/// Which header fields of a response a replay sends.
///
/// A field is kept if ``allowed`` permits it and ``dropped`` does not name it. Fields that belong to one connection or
/// one message are never kept, whatever the lists say: the hop-by-hop fields and those that `Connection` names (RFC 9110,
/// section 7.6.1), `Proxy-*` (RFC 9111, section 3.1), and `Content-Length`, `Date`, `Age` and `Trailer`, which a server
/// makes anew.
package struct HeaderFilter: Hashable, Sendable {
    /// The fields that are dropped though the message could be replayed with them.
    package var dropped: Set<HTTPField.Name>

    /// The only fields that are kept; `nil` stands for all.
    package var allowed: Set<HTTPField.Name>?

    /// Creates a filter.
    ///
    /// - Parameters:
    ///   - dropped: The fields to drop.
    ///   - allowed: The only fields to keep; `nil` stands for all.
    package init(dropped: Set<HTTPField.Name> = HeaderFilter.droppedByDefault, allowed: Set<HTTPField.Name>? = nil) {
        self.dropped = dropped
        self.allowed = allowed
    }

    /// Fields that tell about the first request rather than the result: cookies (a replay must not revive a session),
    /// the server's identity, rate limits and retry hints, and the ids of requests and traces.
    package static let droppedByDefault = HTTPField.Name.set(
        "Set-Cookie", "Server", "Via", "Alt-Svc", "Server-Timing", "Retry-After",
        "RateLimit", "RateLimit-Policy", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset",
        "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset",
        "Traceparent", "Tracestate", "Traceresponse", "Baggage", "B3", "X-B3-TraceId", "X-B3-SpanId",
        "X-B3-ParentSpanId", "X-B3-Sampled", "X-B3-Flags", "X-Cloud-Trace-Context", "X-Amzn-Trace-Id",
        "X-Request-Id", "X-Correlation-Id")

    private static let neverKept = HTTPField.Name.set(
        "Connection", "Keep-Alive", "TE", "Transfer-Encoding", "Upgrade", "Trailer", "Content-Length", "Date", "Age")

    /// The fields of `fields` that a replay sends, in their order.
    ///
    /// - Parameter fields: The header fields of the first response.
    /// - Returns: Those to store.
    package func kept(_ fields: HTTPFields) -> HTTPFields {
        let nominated = fields.contains(.connection) ? self.namesInConnection(of: fields) : []
        var kept = HTTPFields()
        kept.reserveCapacity(fields.count)
        for field in fields where self.keeps(field.name) {
            if nominated.isEmpty || !nominated.contains(field.name) { kept.append(field) }
        }
        return kept
    }

    private func keeps(_ name: HTTPField.Name) -> Bool {
        guard !Self.neverKept.contains(name), !self.dropped.contains(name), !name.canonicalName.hasPrefix("proxy-")
        else { return false }
        return self.allowed?.contains(name) ?? true
    }

    private func namesInConnection(of fields: HTTPFields) -> Set<HTTPField.Name> {
        let names = fields[values: .connection].flatMap { $0.utf8.split(separator: UInt8(ascii: ",")) }
        return Set(names.compactMap { HTTPField.Name(String(Substring($0.trimmingOptionalWhitespace()))) })
    }
}

extension HTTPField.Name {
    fileprivate static func set(_ names: String...) -> Set<HTTPField.Name> {
        Set(names.compactMap { HTTPField.Name($0) })
    }
}

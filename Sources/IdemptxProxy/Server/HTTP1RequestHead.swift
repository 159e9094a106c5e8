import HTTPTypes
import Idemptx
import NIOHTTP1

extension HTTPRequest {
    /// The request cannot be passed on without changing what it means.
    struct Unacceptable: Error {}

    /// Takes over the head of an HTTP/1 request as it is: its target, and its fields in their order, with `Host` among them.
    ///
    /// - Throws: ``Unacceptable`` if two readers could take it for two different requests (RFC 9112, sections 3.2, 6.1 and
    ///   11.2), or if it cannot be carried unchanged.
    init(_ head: HTTPRequestHead, isSecure: Bool) throws(Unacceptable) {
        try head.checkFraming()
        // SwiftNIO misspells this one.
        guard let method = Method(head.method == .MSEARCH ? "M-SEARCH" : head.method.rawValue) else {
            throw Unacceptable()
        }
        let target = try RequestTarget(head.uri, method: method)
        self.init(
            method: method, scheme: isSecure ? "https" : "http", authority: try head.host(target), path: target.path)
        self.headerFields.reserveCapacity(head.headers.count)
        for (name, value) in head.headers {
            guard let name = HTTPField.Name(name) else { throw Unacceptable() }
            // The host in the target counts, if there is one (RFC 9112, section 3.2.2).
            let value = name == .hostField ? target.authority ?? value : value.withoutOptionalWhitespace
            let field = HTTPField(name: name, value: value)
            // Bytes that are no UTF-8 have been replaced by now.
            guard field.value == value, !value.unicodeScalars.contains("\u{FFFD}") else { throw Unacceptable() }
            self.headerFields.append(field)
        }
    }
}

extension HTTPRequestHead {
    /// The parser has seen to it that there is one length, and no chunked body besides.
    fileprivate func checkFraming() throws(HTTPRequest.Unacceptable) {
        let codings = self.headers["transfer-encoding"]
        let isChunked = codings.count == 1 && codings[0].withoutOptionalWhitespace.lowercased() == "chunked"
        guard codings.isEmpty || (isChunked && !self.isHTTP10) else {
            throw HTTPRequest.Unacceptable()
        }
    }

    var isHTTP10: Bool { self.version < .http1_1 }

    fileprivate func host(_ target: RequestTarget) throws(HTTPRequest.Unacceptable) -> String? {
        let hosts = self.headers["host"]
        guard hosts.count == 1 || (hosts.isEmpty && self.isHTTP10) else { throw HTTPRequest.Unacceptable() }
        return target.authority ?? hosts.first?.withoutOptionalWhitespace
    }
}

extension String {
    /// The value of a field without the space around it, which is no part of it (RFC 9112, section 5.1).
    var withoutOptionalWhitespace: String { String(Substring(self.utf8.trimmingOptionalWhitespace())) }
}

extension HTTPVersion {
    fileprivate static func < (lhs: HTTPVersion, rhs: HTTPVersion) -> Bool {
        (lhs.major, lhs.minor) < (rhs.major, rhs.minor)
    }
}

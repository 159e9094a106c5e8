package import NIOHTTP1

/// The head of a request, as it is decided upon and forwarded: of any version of HTTP, and not converted.
///
/// A class, because it is passed on many times, and each copy of a struct would retain all of its strings.
package final class RequestHead: Sendable {
    package enum Version: Sendable {
        case http10
        case http11
        case http2

        /// As `Via` has it.
        var text: String {
            switch self {
            case .http10: "1.0"
            case .http11: "1.1"
            case .http2: "2.0"
            }
        }
    }

    package let version: Version
    package let method: String
    /// The path and query, byte for byte, or `*`.
    package let target: String
    /// The host that is asked for; `nil` if an HTTP/1.0 client did not say.
    package let authority: String?
    /// The fields as they were sent.
    ///
    /// Over HTTP/1, `Host` is among them; over HTTP/2, it is not.
    package let fields: HTTPHeaders
    let body: BodyFraming
    /// The names that `Connection` declares to be of the client's connection only, in lower case; nearly always none.
    let connectionOptions: [String]
    /// The protocol that the client asks to change to (RFC 9110, section 7.8).
    let upgrade: String?
    /// Whether the parser of HTTP/1 reads no further after this request, since it asks for another protocol.
    let pausesParser: Bool
    /// Whether the client waits for leave to send the body (RFC 9110, section 10.1.1).
    let expectsContinue: Bool
    /// What `Max-Forwards` says, where that counts (RFC 9110, section 7.6.2).
    let maxForwards: Int?

    init(
        version: Version, method: String, target: String, authority: String?, fields: HTTPHeaders, body: BodyFraming,
        connectionOptions: [String], upgrade: String?, pausesParser: Bool, expectsContinue: Bool, maxForwards: Int?
    ) {
        self.version = version
        self.method = method
        self.target = target
        self.authority = authority
        self.fields = fields
        self.body = body
        self.connectionOptions = connectionOptions
        self.upgrade = upgrade
        self.pausesParser = pausesParser
        self.expectsContinue = expectsContinue
        self.maxForwards = maxForwards
    }

    /// The path, without the query.
    package var path: Substring { self.target.prefix { $0 != "?" } }

    /// Whether there is a field with a name.
    package func hasField(_ name: String) -> Bool { self.fields.contains(name: name) }

    /// The values of all fields with a name, in their order.
    package func values(of name: String) -> [String] { self.fields[name] }

    /// Whether the request can be sent twice without harm (RFC 9110, section 9.2.2).
    var isIdempotent: Bool {
        switch self.method {
        case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE": true
        default: false
        }
    }
}

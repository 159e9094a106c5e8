import HTTPTypes

/// The target of an HTTP/1 request (RFC 9112, section 3.2).
struct RequestTarget {
    /// The path and query, byte for byte; `nil` if there is none, which is so for CONNECT only.
    let path: String?
    /// The host in the target, if it has the absolute form.
    let authority: String?

    init(_ text: String, method: HTTPRequest.Method) throws(HTTPRequest.Unacceptable) {
        if method == .connect {
            self.path = nil
            self.authority = text
            return
        }
        if text.hasPrefix("/") || (text == "*" && method == .options) {
            self.path = text
            self.authority = nil
            return
        }
        guard let scheme = ["http://", "https://"].first(where: { text.prefix($0.count).lowercased() == $0 }) else {
            throw HTTPRequest.Unacceptable()
        }
        let rest = text.dropFirst(scheme.count)
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        guard !authority.isEmpty else { throw HTTPRequest.Unacceptable() }
        self.authority = String(authority)
        let path = rest[authority.endIndex...]
        // Of the origin form, the path is never empty (section 3.2.1); that of OPTIONS without one is the asterisk (3.2.4).
        self.path = path.hasPrefix("/") ? String(path) : path.isEmpty && method == .options ? "*" : "/" + path
    }
}

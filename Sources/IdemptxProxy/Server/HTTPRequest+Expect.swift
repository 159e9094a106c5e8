import HTTPTypes

extension HTTPRequest {
    /// Whether the client waits for leave to send the body (RFC 9110, section 10.1.1).
    var expectsContinue: Bool { self.headerFields[.expect]?.lowercased() == "100-continue" }
}

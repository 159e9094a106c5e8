import Crypto
import Foundation
import HTTPTypes
import Hummingbird

/// The page of the demo: buttons to press, and what comes of it.
///
/// It is one file without anything from elsewhere, and its response forbids the browser anything else.
struct DemoPage: Sendable {
    private let html: ByteBuffer
    private let eTag: String
    private let headers: HTTPFields

    init() {
        let html = String(decoding: PackageResources.demo_html, as: UTF8.self)
        self.html = ByteBuffer(string: html)
        self.eTag = "\"\(Self.digest(of: html))\""
        self.headers = [
            .contentSecurityPolicy: Self.contentSecurityPolicy(of: html),
            // Kept, and asked for again each time: it belongs to the executable, which may be another by then.
            .cacheControl: "no-cache",
            .xContentTypeOptions: "nosniff",
        ]
    }

    @Sendable
    func show(request: Request, context: some RequestContext) async throws -> Response {
        try await request.ifNoneMatch(headers: self.headers, eTag: self.eTag, context: context) {
            Response(
                status: .ok, headers: [.contentType: "text/html; charset=utf-8"],
                body: ResponseBody(byteBuffer: self.html))
        }
    }

    /// Allows the script and the style that are in the page, and requests to the demo; not even the script can make
    /// markup from a text.
    private static func contentSecurityPolicy(of html: String) -> String {
        let style = Self.digest(of: Self.content(from: "<style>", to: "</style>", in: html))
        let script = Self.digest(of: Self.content(from: "<script type=\"module\">", to: "</script>", in: html))
        return [
            "default-src 'none'", "style-src 'sha256-\(style)'", "script-src 'sha256-\(script)'", "img-src data:",
            "connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
            "require-trusted-types-for 'script'", "trusted-types 'none'",
        ].joined(separator: "; ")
    }

    private static func content(from start: String, to end: String, in html: String) -> Substring {
        let tail = html[(html.firstRange(of: start)?.upperBound ?? html.endIndex)...]
        return tail[..<(tail.firstRange(of: end)?.lowerBound ?? tail.endIndex)]
    }

    private static func digest(of text: some StringProtocol) -> String {
        Data(SHA256.hash(data: Data(text.utf8))).base64EncodedString()
    }
}

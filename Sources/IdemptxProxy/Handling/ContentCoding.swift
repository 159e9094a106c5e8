import HTTPTypes
import NIOCore
import NIOEmbedded
import NIOHTTP1
import NIOHTTPCompression

/// How a body is compressed, and can be read all the same (RFC 9110, section 8.4.1).
enum ContentCoding: String {
    case gzip
    case deflate

    /// How much is decoded at a time: a little of a body can become a thousand times as much.
    private static let stepSize = 4 * 1024

    /// - Returns: `nil` if the body is not compressed, or in a way that is not known here.
    init?(of head: HTTPRequest) {
        switch head.headerFields[.contentEncoding]?.lowercased() {
        case "gzip", "x-gzip": self = .gzip
        case "deflate": self = .deflate
        default: return nil
        }
    }

    /// What a body says.
    ///
    /// - Parameters:
    ///   - body: The body, compressed.
    ///   - limit: How many bytes it may come to.
    /// - Returns: Its bytes, or `nil` if there are more than `limit`.
    /// - Throws: What is wrong with it.
    func decoded(_ body: ByteBuffer, upTo limit: Int) throws -> [UInt8]? {
        // SwiftNIO's decoder is a channel handler; nothing waits here.
        let channel = EmbeddedChannel(handler: NIOHTTPRequestDecompressor(limit: .size(limit)))
        defer { _ = try? channel.finish(acceptAlreadyClosed: true) }
        var (body, decoded) = (body, [UInt8]())
        do {
            let head = HTTPRequestHead(
                version: .http1_1, method: .POST, uri: "/", headers: ["Content-Encoding": self.rawValue])
            try channel.writeInbound(HTTPServerRequestPart.head(head))
            while let bytes = body.readSlice(length: min(Self.stepSize, body.readableBytes)), bytes.readableBytes > 0 {
                try channel.writeInbound(HTTPServerRequestPart.body(bytes))
                try Self.take(from: channel, to: &decoded)
            }
            try channel.writeInbound(HTTPServerRequestPart.end(nil))
            try Self.take(from: channel, to: &decoded)
        } catch NIOHTTPDecompression.DecompressionError.limit {
            return nil
        }
        return decoded
    }

    private static func take(from channel: EmbeddedChannel, to bytes: inout [UInt8]) throws {
        while let part = try channel.readInbound(as: HTTPServerRequestPart.self) {
            if case .body(let decoded) = part { bytes += decoded.readableBytesView }
        }
    }
}

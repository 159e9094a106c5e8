import NIOCore
import Testing

@testable import HTTPProxy

@Suite("The decoder of chunked bodies")
struct ChunkedDecoderTests {
    /// To Swift, a colon that a combining mark follows is another character.
    @Test("takes trailers whose values begin with any text", arguments: [" a", "", "\u{301}a"])
    func trailer(value: String) throws {
        var (decoder, buffer) = (ChunkedDecoder(), ByteBuffer(string: "0\r\nX-Note:\(value)\r\n\r\n"))
        guard case .end(let trailers)? = try decoder.next(from: &buffer) else {
            Issue.record("The body does not end")
            return
        }
        #expect(trailers.map(\.name) == ["X-Note"])
        #expect(trailers.map(\.value) == [value.trimmed])
    }
}

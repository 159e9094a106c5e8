public import HTTPTypes
public import Idemptx
public import NIOCore
import RESP3

/// What is pure inside the package, for benchmarks.
public enum Codecs {
    /// Computes the fingerprint of a request as the engine does.
    ///
    /// - Parameters:
    ///   - head: The head of the request.
    ///   - body: Its body.
    /// - Returns: The fingerprint, hashed to a number.
    public static func fingerprint(_ head: HTTPRequest, body: [UInt8]) -> Int {
        var builder = FingerprintBuilder(head: head)
        builder.update(body)
        return builder.finalize().hashValue
    }

    /// Rewrites a JSON text into its canonical form.
    ///
    /// - Parameter text: The text.
    /// - Returns: The canonical form; `nil` if `text` is not JSON.
    public static func canonicalJSON(_ text: [UInt8]) -> [UInt8]? {
        CanonicalJSON.canonicalize(text)
    }

    /// A completed record.
    ///
    /// - Parameter response: The response that it keeps.
    /// - Returns: The record.
    public static func record(keeping response: StoredResponse) -> IdempotencyRecord {
        IdempotencyRecord(
            fingerprint: Fingerprint(ofBytes: Array("order".utf8)), owner: OwnerToken(), attempt: 1,
            created: .init(milliseconds: 1), expires: .init(milliseconds: 2), state: .completed(.response(response)))
    }

    /// Writes a command of two arguments, the second with `value`.
    ///
    /// - Parameters:
    ///   - value: Any bytes.
    ///   - buffer: Where the command is written to.
    public static func encodeCommand(_ value: [UInt8], into buffer: inout ByteBuffer) {
        let command: RedisCommand = ["SET", RedisArgument(value)]
        command.write(to: &buffer)
    }

    /// Reads one reply.
    ///
    /// - Parameter buffer: The bytes of the reply.
    /// - Returns: Whether it was complete.
    /// - Throws: An error if it is malformed.
    public static func decodeReply(_ buffer: inout ByteBuffer) throws -> Bool {
        var decoder = RESPDecoder(limits: RESPLimits())
        return try decoder.decode(buffer: &buffer) != nil
    }
}

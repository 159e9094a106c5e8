/// A reader of untrusted input, and what has to be true of it for any input.
///
/// A fuzzer looks for inputs that break it (`make fuzz`); the tests repeat all that were kept.
public struct FuzzTarget: Sendable {
    /// The name, which is that of the folder of its inputs, too.
    public let name: String
    private let body: @Sendable ([UInt8]) throws -> Void

    init(_ name: String, _ body: @escaping @Sendable ([UInt8]) throws -> Void) {
        self.name = name
        self.body = body
    }

    /// Reads an input.
    ///
    /// - Parameter input: Any bytes.
    /// - Throws: ``Violation`` if something is not true that has to be.
    public func check(_ input: [UInt8]) throws {
        try self.body(input)
    }

    /// All targets.
    public static let all: [FuzzTarget] = [
        FuzzTarget("key-header", KeyHeaderCheck().check),
        FuzzTarget("json", JSONFormCheck().check),
        FuzzTarget("form", FormCheck().check),
        FuzzTarget("multipart", MultipartCheck().check),
        FuzzTarget("media-type", MediaTypeCheck().check),
        FuzzTarget("record", RecordCheck().check),
        FuzzTarget("redis-reply", RedisReplyCheck().check),
        FuzzTarget("request-head", RequestHeadCheck().check),
        FuzzTarget("http2-head", HTTP2HeadCheck().check),
        FuzzTarget("response-head", ResponseHeadCheck().check),
        FuzzTarget("chunked-body", ChunkedBodyCheck().check),
        FuzzTarget("settings-file", SettingsFileCheck().check),
        FuzzTarget("store-url", StoreURLCheck().check),
    ]
}

/// What an input has broken.
public struct Violation: Error, CustomStringConvertible {
    /// A sentence about it.
    public let description: String

    init(_ description: String) {
        self.description = description
    }

    /// Throws unless a condition holds.
    static func unless(_ condition: Bool, _ description: @autoclosure () -> String) throws(Violation) {
        guard condition else { throw Violation(description()) }
    }
}

extension [UInt8] {
    /// The bytes in pieces; the first byte says how long these are.
    var pieces: [[UInt8]] {
        let (size, bytes) = (Int(self.first ?? 0) % 16 + 1, self.dropFirst())
        return stride(from: bytes.startIndex, to: bytes.endIndex, by: size).map {
            Array(bytes[$0..<Swift.min($0 + size, bytes.endIndex)])
        }
    }
}

extension String {
    /// The text in quotes, with quotes and backslashes in it escaped: byte by byte, since a mark behind one of them
    /// would make it another character.
    var quoted: String {
        let escaped = self.utf8.flatMap { "\"\\".utf8.contains($0) ? [UInt8(ascii: "\\"), $0] : [$0] }
        return "\"\(String(decoding: escaped, as: UTF8.self))\""
    }
}

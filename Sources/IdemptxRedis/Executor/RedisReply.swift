/// A server's reply to a command, as far as a ``RedisStore`` distinguishes it.
public enum RedisReply: Hashable, Sendable {
    /// No value.
    case null
    /// A string of any kind.
    case bytes([UInt8])
    /// A number.
    case integer(Int)
    /// Values in order; of a map, each key before its value.
    case array([RedisReply])
    /// The server's refusal or failure, such as `OOM command not allowed`.
    case error(String)
}

extension RedisReply {
    var text: String? {
        guard case .bytes(let bytes) = self else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    var elements: [RedisReply] {
        guard case .array(let elements) = self else { return [] }
        return elements
    }
}

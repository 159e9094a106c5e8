package import NIOCore

/// What a server replies with.
///
/// Strings are slices of what was read; keep them no longer than needed. The description tells kinds and sizes, never
/// content, so that a value may be logged.
package enum RESPValue: Hashable, Sendable {
    /// No value: `_`, or the `$-1` and `*-1` of RESP2.
    case null
    /// A short status such as `OK`.
    case simpleString(ByteBuffer)
    /// Any bytes.
    case bulkString(ByteBuffer)
    /// A signed number of 64 bits.
    case integer(Int)
    /// A floating-point number, infinities and NaN included.
    case double(Double)
    /// A truth value.
    case boolean(Bool)
    /// An integer of any size, as its decimal digits.
    case bigNumber(String)
    /// Text with a hint of three characters at its format, such as `txt`.
    case verbatimString(format: String, text: ByteBuffer)
    /// Values in order.
    case array([RESPValue])
    /// Pairs, in the order of the server.
    case map([Pair])
    /// Values without order.
    case set([RESPValue])
    /// Something that the server sends unasked, such as a published message.
    case push([RESPValue])
    /// The server's refusal or failure.
    case error(ServerError)

    /// A key of a map and what belongs to it.
    package struct Pair: Hashable, Sendable {
        /// What the value is found by.
        package let key: RESPValue
        /// What is found.
        package let value: RESPValue

        /// Creates a pair.
        package init(_ key: RESPValue, _ value: RESPValue) {
            self.key = key
            self.value = value
        }
    }
}

extension RESPValue {
    /// The bytes of a string of any kind.
    package var bytes: ByteBuffer? {
        switch self {
        case .simpleString(let bytes), .bulkString(let bytes), .verbatimString(_, let bytes): bytes
        default: nil
        }
    }

    /// The text of a string of any kind.
    package var string: String? {
        self.bytes.map { String(buffer: $0) }
    }

    /// The number, also if it is spelled as a string.
    package var integer: Int? {
        guard case .integer(let number) = self else { return self.string.flatMap { Int($0) } }
        return number
    }

    /// The elements of an array, a set or a push.
    package var elements: [RESPValue]? {
        switch self {
        case .array(let elements), .set(let elements), .push(let elements): elements
        default: nil
        }
    }

    /// The pairs of a map, also in the form of RESP2: an array of keys and values in turn.
    package var pairs: [Pair]? {
        if case .map(let pairs) = self { return pairs }
        guard case .array(let elements) = self, elements.count.isMultiple(of: 2) else { return nil }
        return stride(from: 0, to: elements.count, by: 2).map { Pair(elements[$0], elements[$0 + 1]) }
    }

    /// The refusal, if it is one.
    package var serverError: ServerError? {
        guard case .error(let error) = self else { return nil }
        return error
    }
}

extension RESPValue: CustomStringConvertible, CustomDebugStringConvertible {
    /// Kind and size.
    package var description: String {
        switch self {
        case .null: "null"
        case .simpleString(let bytes): "simple string of \(bytes.readableBytes) bytes"
        case .bulkString(let bytes): "string of \(bytes.readableBytes) bytes"
        case .integer: "integer"
        case .double: "double"
        case .boolean: "boolean"
        case .bigNumber: "big number"
        case .verbatimString(_, let bytes): "verbatim string of \(bytes.readableBytes) bytes"
        case .array(let elements): "array of \(elements.count)"
        case .map(let pairs): "map of \(pairs.count)"
        case .set(let elements): "set of \(elements.count)"
        case .push(let elements): "push of \(elements.count)"
        case .error(let error): "error \(error.code)"
        }
    }

    /// The same as the description.
    package var debugDescription: String { self.description }
}

#if Valkey
import Idemptx
import IdemptxRedis
import NIOCore
import Valkey

extension RedisReply {
    init(_ result: Result<RESPToken, ValkeyClientError>) throws(StoreError) {
        do {
            self.init(try result.get())
        } catch  where error.errorCode == .commandError {
            self = .error(error.message ?? "ERR")
        } catch {
            // Even with `connectionClosed` it may have been sent. The code holds no bytes of a record, as `error` might.
            throw StoreError(.replyLost, "No reply of Valkey: \(error.errorCode)", underlyingError: error)
        }
    }

    private init(_ token: RESPToken) {
        switch token.value {
        case .null: self = .null
        case .simpleString(let bytes), .bulkString(let bytes), .bigNumber(let bytes):
            self = .bytes(Array(bytes.readableBytesView))
        case .verbatimString(let bytes): self = .bytes(Array(bytes.readableBytesView.dropFirst("txt:".utf8.count)))
        case .number(let number): self = .integer(Int(number))
        case .boolean(let isTrue): self = .integer(isTrue ? 1 : 0)
        case .double(let number): self = .bytes(Array("\(number)".utf8))
        case .array(let elements), .set(let elements), .push(let elements):
            self = .array(elements.map(RedisReply.init))
        case .map(let pairs), .attribute(let pairs):
            self = .array(pairs.flatMap { [RedisReply($0.key), RedisReply($0.value)] })
        case .simpleError(let message), .bulkError(let message): self = .error(String(buffer: message))
        }
    }
}
#endif

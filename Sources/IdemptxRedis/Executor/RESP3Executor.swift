import Idemptx
import NIOCore
import RESP3

/// One server of the client that the store brings.
struct RESP3NodeExecutor: RedisExecutor {
    let node: any RedisPrimary

    var name: String { self.node.name }

    func execute(_ commands: [RedisCommand], key: [UInt8]?) async throws -> [RedisReply] {
        try await self.node.execute(commands, key: key)
    }
}

/// The client that the store brings.
struct RESP3Executor: RedisExecutor {
    let client: any RedisClient
    let isCluster: Bool

    func execute(_ commands: [RedisCommand], key: [UInt8]?) async throws -> [RedisReply] {
        try await self.client.execute(commands, key: key)
    }

    func subscribe(to channel: String) -> AsyncStream<Void> {
        self.client.subscribe(to: channel)
    }

    func publishCommand() async throws -> String {
        do {
            return try await self.client.publishCommand()
        } catch {
            throw StoreError(error)
        }
    }

    func primaries() async throws -> [any RedisExecutor] {
        do {
            return try await self.client.primaries().map { RESP3NodeExecutor(node: $0) }
        } catch {
            throw StoreError(error)
        }
    }
}

extension RedisNode {
    fileprivate func execute(_ commands: [RedisCommand], key: [UInt8]?) async throws(StoreError) -> [RedisReply] {
        do {
            return try await self.send(
                commands.map { command in
                    var sent = RESP3.RedisCommand(command.words.map { RedisArgument($0) })
                    sent.expectsLargeReply = command.isLarge
                    return sent
                },
                key: key.map { RedisArgument($0) },
                deadline: .now() + TimeAmount(self.commandTimeout)
            ).map(RedisReply.init)
        } catch {
            throw StoreError(error)
        }
    }
}

extension RedisReply {
    fileprivate init(_ value: RESPValue) {
        switch value {
        case .null: self = .null
        case .simpleString(let bytes), .bulkString(let bytes), .verbatimString(_, let bytes):
            self = .bytes(Array(bytes.readableBytesView))
        case .integer(let number): self = .integer(number)
        case .boolean(let isTrue): self = .integer(isTrue ? 1 : 0)
        case .double(let number): self = .bytes(Array("\(number)".utf8))
        case .bigNumber(let digits): self = .bytes(Array(digits.utf8))
        case .array(let elements), .set(let elements), .push(let elements):
            self = .array(elements.map(RedisReply.init))
        case .map(let pairs):
            self = .array(pairs.flatMap { [RedisReply($0.key), RedisReply($0.value)] })
        case .error(let error): self = .error("\(error.code) \(error.message)")
        }
    }
}

extension StoreError {
    fileprivate init(_ error: RedisError) {
        switch error {
        case .notSent, .queueFull: self.init(.unavailable, "\(error)", underlyingError: error)
        case .refused: self.init(.misconfigured, "\(error)", underlyingError: error)
        case .server(let refusal): self.init(refusal: "\(refusal.code) \(refusal.message)")
        case .replyLost, .protocolViolation, .cancelled: self.init(.replyLost, "\(error)", underlyingError: error)
        }
    }
}

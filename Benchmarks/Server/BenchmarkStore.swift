import ArgumentParser
import BenchmarkSupport
import Idemptx
import IdemptxRedis
import IdemptxSQLite
import ServiceLifecycle

/// Which store the guarded routes use.
enum BenchmarkStore: ExpressibleByArgument {
    case memory
    case sqlite(path: String)
    case redis(url: String)

    /// A store and what it needs to run.
    struct Opened {
        let records: any IdempotencyStore
        let service: any Service
    }

    init?(argument: String) {
        if argument == "memory" {
            self = .memory
        } else if argument.hasPrefix("sqlite:") {
            self = .sqlite(path: String(argument.dropFirst("sqlite:".count)))
        } else if argument.hasPrefix("redis://") {
            self = .redis(url: argument)
        } else {
            return nil
        }
    }

    func open() throws -> Opened {
        switch self {
        case .memory: Self.opened(MemoryStore())
        case .sqlite(let path): Self.opened(try SQLiteStore(path: path))
        case .redis(let url): Self.opened(try RedisStore(url: url))
        }
    }

    /// `nil` unless the store is in Redis.
    func makeRedisReader() throws -> RedisReader? {
        guard case .redis(let url) = self else { return nil }
        return try RedisReader(url: url)
    }

    private static func opened(_ store: some IdempotencyStore & Service) -> Opened {
        Opened(records: store, service: store)
    }
}

import ArgumentParser
import BenchmarkSupport
import Idemptx
import IdemptxPostgres
import IdemptxRedis
import IdemptxSQLite
import ServiceLifecycle

/// Which store the guarded routes use.
enum BenchmarkStore: ExpressibleByArgument {
    case memory
    case sqlite(path: String)
    case redis(url: String)
    case postgres(url: String)

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
        } else if argument.hasPrefix("postgres://") {
            self = .postgres(url: argument)
        } else {
            return nil
        }
    }

    func open() async throws -> Opened {
        switch self {
        case .memory: return Self.opened(MemoryStore())
        case .sqlite(let path): return Self.opened(try SQLiteStore(path: path))
        case .redis(let url): return Self.opened(try RedisStore(url: url))
        case .postgres(let url):
            let store = try PostgresStore(url: url)
            try await store.migrate()
            return Self.opened(store)
        }
    }

    /// `nil` unless the store is in Redis.
    func makeRedisReader() throws -> RedisReader? {
        guard case .redis(let url) = self else { return nil }
        return try RedisReader(url: url)
    }

    /// `nil` unless the store is in PostgreSQL.
    func makePostgresReader() throws -> PostgresReader? {
        guard case .postgres(let url) = self else { return nil }
        return try PostgresReader(url: url)
    }

    private static func opened(_ store: some IdempotencyStore & Service) -> Opened {
        Opened(records: store, service: store)
    }
}

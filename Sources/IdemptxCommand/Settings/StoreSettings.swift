import Idemptx
import IdemptxPostgres
import IdemptxSQLite
import Logging
import ServiceLifecycle

#if Redis
import IdemptxRedis
#endif

/// Where records are kept, and how.
struct StoreSettings: SettingTarget {
    var location = StoreLocation.standard
    var sqliteTimeout = Duration.seconds(5)
    var postgres = PostgresStoreConfiguration()
    var postgresConnection = PostgresConnectionConfiguration()

    #if Redis
    var redis = RedisStoreConfiguration()
    var connection = RedisConnectionConfiguration()
    var replicas: Int?
    var replicaTimeout = ReplicaAcknowledgement(replicas: 1).timeout
    #endif

    init() {}

    /// Reads them.
    init(_ settings: inout Settings) throws(SettingError) {
        try settings.read(StoreSection.settings, into: &self)
        #if Redis
        guard let replicas = self.replicas else { return }
        guard self.replicaTimeout < self.connection.commandTimeout else {
            throw settings.error("redisReplicaTimeout", "it has to be shorter than --redis-command-timeout.")
        }
        self.redis.acknowledgement = ReplicaAcknowledgement(replicas: replicas, timeout: self.replicaTimeout)
        #endif
    }

    /// Which stores may be opened.
    enum Condition {
        /// Any; one that is not there is created, if it can be.
        case any
        /// Any, even if its server cannot be used yet.
        case unreachable
        /// Only one that a server has made.
        case existing
    }

    /// Opens the store.
    func open(
        _ condition: Condition = .any
    ) async throws(CommandError) -> any IdempotencyStore & RecordCounting & Service {
        do {
            switch self.location {
            case .memory: return MemoryStore()
            case .sqlite(let path):
                return try SQLiteStore(
                    path: path, mustHoldRecords: condition == .existing, timeout: self.sqliteTimeout)
            case .postgres(let url):
                let store = try PostgresStore(
                    url: url, connection: self.postgresConnection, configuration: self.postgres)
                try await self.check(condition) {
                    if condition != .existing { try await store.migrate() }
                    try await store.verify()
                }
                return store
            case .redis(let url):
                #if Redis
                let store = try RedisStore(url: url, connection: self.connection, configuration: self.redis)
                try await self.check(condition, store.verify)
                return store
                #else
                throw CommandError("--store: this program was built without the store in Redis.")
                #endif
            }
        } catch let error as CommandError {
            throw error
        } catch let error as StoreError {
            throw CommandError("--store: \(error.message)")
        } catch {
            throw CommandError("--store: \(error)")
        }
    }

    /// Checks a server, which need not be there at the start where operations may run without it.
    private func check(_ condition: Condition, _ verify: () async throws -> Void) async throws {
        do {
            try await verify()
        } catch  where condition == .unreachable {
            Logger.current.warning(
                "The idempotency store cannot be used: operations run unprotected until it can",
                metadata: ["idempotency.error": "\(error)"])
        }
    }
}

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

    /// Opens the store.
    ///
    /// - Parameter mustHoldRecords: Whether only one will do that a server has made; else one that is not there is created.
    /// - Returns: The store, which can be reached.
    /// - Throws: Why not, in a sentence.
    func open(
        mustHoldRecords: Bool = false
    ) async throws(CommandError) -> any IdempotencyStore & RecordCounting & Service {
        do {
            return try await self.connect(mustHoldRecords: mustHoldRecords)
        } catch let error as CommandError {
            throw error
        } catch let error as StoreError {
            throw CommandError("--store: \(error.message)")
        } catch {
            throw CommandError("--store: \(error)")
        }
    }

    /// Opens the store for operations that may run without it: one that cannot be opened now is opened once it can.
    func openForBypass(logger: Logger) async throws -> any IdempotencyStore & Service {
        do {
            return try await self.connect()
        } catch let error as StoreError {
            logger.warning(
                "The idempotency store cannot be used: operations run unprotected until it can",
                metadata: ["idempotency.error": "\(error)"])
            return LateStore(failure: error) { try await self.connect() }
        }
    }

    /// - Throws: `StoreError`, or ``CommandError`` where no such store can be opened by this program.
    private func connect(
        mustHoldRecords: Bool = false
    ) async throws -> any IdempotencyStore & RecordCounting & Service {
        switch self.location {
        case .memory: return MemoryStore()
        case .sqlite(let path):
            return try SQLiteStore(path: path, mustHoldRecords: mustHoldRecords, timeout: self.sqliteTimeout)
        case .postgres(let url):
            let store = try PostgresStore(url: url, connection: self.postgresConnection, configuration: self.postgres)
            if !mustHoldRecords { try await store.migrate() }
            try await store.verify()
            return store
        case .redis(let url):
            #if Redis
            let store: RedisStore
            do {
                store = try RedisStore(url: url, connection: self.connection, configuration: self.redis)
            } catch {
                // A URL that cannot be read does not get better with time.
                throw CommandError("--store: \(error.message)")
            }
            try await store.verify()
            return store
            #else
            throw CommandError("--store: this program was built without the store in Redis.")
            #endif
        }
    }
}

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

    typealias Store = IdempotencyStore & RecordCounting & Service

    /// Opens the store.
    ///
    /// - Parameter mustHoldRecords: Whether the store must hold records already. Otherwise it is created.
    /// - Returns: The store, which can be reached.
    /// - Throws: The reason, as one sentence.
    func open(mustHoldRecords: Bool = false) async throws(CommandError) -> any Store {
        do {
            let store = try self.connect(mustHoldRecords: mustHoldRecords)
            try await Self.prepare(store, installs: !mustHoldRecords)
            return store
        } catch {
            throw Self.sentence(about: error)
        }
    }

    /// Opens the store for operations that may run without it: the service of the store goes on with what cannot be done yet.
    ///
    /// - Parameter logger: For what cannot be done yet.
    /// - Returns: The store.
    /// - Throws: The reason, as one sentence, if it does not get better with time, such as a URL that cannot be read.
    func openForBypass(logger: Logger) async throws(CommandError) -> any IdempotencyStore & Service {
        do {
            let store = try self.connect()
            do {
                try await Self.prepare(store, installs: true)
                return store
            } catch let error as StoreError where error.isRefusedByLibPQ {
                throw error
            } catch {
                return self.lateStore(.success(store), after: error, logger: logger)
            }
        } catch let error as StoreError where self.mayConnectLater(after: error) {
            return self.lateStore(.failure(error), after: error, logger: logger)
        } catch {
            throw Self.sentence(about: error)
        }
    }

    private static func sentence(about error: any Error) -> CommandError {
        switch error {
        case let error as CommandError: error
        case let error as StoreError: CommandError("--store: \(error.message)")
        default: CommandError("--store: \(error)")
        }
    }

    private func lateStore(
        _ connected: Result<any LateStore.Store, StoreError>, after error: any Error, logger: Logger
    ) -> LateStore {
        logger.error(
            "The idempotency store cannot be used: operations run unprotected until it can",
            metadata: ["idempotency.error": "\(error)"])
        return LateStore(
            connected, connect: { try self.connect() },
            // The store's own service checks the rest.
            prepare: { try await ($0 as? PostgresStore)?.migrate() })
    }

    /// Makes the store, and opens its file; a server is not asked yet.
    private func connect(mustHoldRecords: Bool = false) throws -> any Store {
        switch self.location {
        case .memory: MemoryStore()
        case .sqlite(let path):
            try SQLiteStore(path: path, mustHoldRecords: mustHoldRecords, timeout: self.sqliteTimeout)
        case .postgres(let url):
            try PostgresStore(url: url, connection: self.postgresConnection, configuration: self.postgres)
        case .redis(let url): try self.connect(toRedis: url)
        }
    }

    private func connect(toRedis url: String) throws -> any Store {
        #if Redis
        try RedisStore(url: url, connection: self.connection, configuration: self.redis)
        #else
        throw CommandError("--store: this program was built without the store in Redis.")
        #endif
    }

    private func mayConnectLater(after error: StoreError) -> Bool {
        switch self.location {
        case .sqlite: true
        case .postgres: error.isMissingLibPQ
        case .memory, .redis: false
        }
    }

    /// Installs what the store needs at its server, and checks it.
    private static func prepare(_ store: any IdempotencyStore, installs: Bool) async throws {
        if let store = store as? PostgresStore {
            if installs { try await store.migrate() }
            try await store.verify()
        }
        #if Redis
        try await (store as? RedisStore)?.verify()
        #endif
    }
}

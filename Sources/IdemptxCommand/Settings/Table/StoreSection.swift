import IdemptxPostgres

#if Redis
import IdemptxRedis
#endif

/// Where records are kept.
enum StoreSection: SettingSection {
    static let title = "Store"

    static let settings: [Setting<StoreSettings>] = Self.locations + Self.postgres + Self.redis
    static var rows: [SettingRow] { Self.settings.map(\.row) }

    private static let locations: [Setting<StoreSettings>] = [
        Setting("store", \.location, "Where idempotency records are kept."),
        Setting(
            "sqliteTimeout", \.sqliteTimeout, as: PositiveDuration.self,
            "How long a call to the SQLite file may take, waiting for other processes included."),
    ]

    private static let postgres: [Setting<StoreSettings>] = [
        Setting(
            "postgresSchema", \.postgres.schema, as: PostgresSchema.self,
            "The schema that holds the records in PostgreSQL."),
        Setting(
            "postgresTimeout", \.postgres.callTimeout, as: PositiveDuration.self,
            "How long a call to PostgreSQL may take, waiting for a connection and for locks included."),
        Setting(
            "postgresConnectTimeout", \.postgresConnection.connectTimeout, as: PositiveDuration.self,
            "How long it may take to connect to a PostgreSQL server, in whole seconds, two at least."),
        Setting(
            "postgresConnections", \.postgresConnection.connections, as: PositiveInt.self,
            "How many connections to PostgreSQL the calls share at most."),
        Setting(
            "postgresListen", \.postgresConnection.listens,
            "Keeps one more connection by which waiting requests are woken; of no use behind PgBouncer in transaction mode."
        ),
    ]

    private static var redis: [Setting<StoreSettings>] {
        #if Redis
        [
            Setting(
                "redisPrefix", \.redis.keyPrefix, as: RedisPrefix.self,
                "What the names of records in Redis start with."),
            Setting(
                "redisReplicas", \.replicas, as: PositiveInt.self,
                "How many replicas have to acknowledge a claim and a response; none if nothing is said."),
            Setting(
                "redisReplicaTimeout", \.replicaTimeout, as: PositiveDuration.self,
                "How long they are waited for; at most half of --redis-command-timeout."),
            Setting(
                "redisRequireNoEviction", \.redis.requireNoEviction,
                "Does not start with a Redis that may evict records."),
            Setting(
                "redisCommandTimeout", \.connection.commandTimeout, as: PositiveDuration.self,
                "How long a command to Redis may take, waiting for a connection included."),
            Setting(
                "redisConnectTimeout", \.connection.connectTimeout, as: PositiveDuration.self,
                "How long it may take to connect to Redis, and then again to be let in."),
            Setting(
                "redisConnections", \.connection.connectionsPerServer, as: PositiveInt.self,
                "How many connections to each Redis server the commands share."),
            Setting(
                "redisClientName", \.connection.clientName, "What Redis shows this process as, in CLIENT LIST."),
        ]
        #else
        []
        #endif
    }
}

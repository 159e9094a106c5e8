/// Where a ``PostgresStore`` keeps its records, and how long its calls take.
public struct PostgresStoreConfiguration: Sendable {
    /// The schema that holds the table and the functions of the store.
    ///
    /// Stores that share it share their records.
    public var schema: String {
        didSet { Self.check(self.schema) }
    }

    /// How long a call takes at most, waiting for a connection and for locks included.
    public var callTimeout: Duration

    /// How long ``PostgresStore/run()`` waits between two sweeps.
    public var sweepInterval: Duration

    /// Creates a configuration.
    ///
    /// - Parameters:
    ///   - schema: The schema that holds the table and the functions of the store: lower-case letters, digits and underscores, 48
    ///     at most, of which the first is no digit.
    ///   - callTimeout: How long a call takes at most.
    ///   - sweepInterval: How long ``PostgresStore/run()`` waits between two sweeps.
    public init(
        schema: String = "idemptx",
        callTimeout: Duration = .seconds(5),
        sweepInterval: Duration = .seconds(60)
    ) {
        Self.check(schema)
        self.schema = schema
        self.callTimeout = callTimeout
        self.sweepInterval = sweepInterval
    }

    static func check(_ schema: String) {
        precondition(
            Self.isValid(schema: schema),
            "PostgresStoreConfiguration.schema must be lower-case letters, digits and underscores")
    }

    /// Whether a schema can have this name; such a name needs no quotes, and is no injection.
    ///
    /// Names that start with `pg_` belong to PostgreSQL.
    package static func isValid(schema: String) -> Bool {
        schema.wholeMatch(of: /[a-z_][a-z0-9_]{0,47}/) != nil && !schema.hasPrefix("pg_")
    }
}

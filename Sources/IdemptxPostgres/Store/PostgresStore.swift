public import Idemptx

/// Keeps records in PostgreSQL (13 or later): one truth for several processes on several machines, beside the data of the
/// application.
///
/// ```swift
/// let store = try PostgresStore(url: "postgres://localhost/orders")
/// try await store.migrate()
/// ```
///
/// A claim, a replay and a completion are one statement each, in a transaction of their own: one round trip, one step, by the
/// server's clock. A replay writes nothing and takes no lock. Calls leave no state in a session, so that PgBouncer may be in
/// between in transaction mode. Waiters, in whatever process, are woken by a notification, which is sent only if somebody
/// waits; a lost one costs them one more poll.
///
/// A call that waits too long for a lock of another transaction fails as `unavailable` before its deadline: the server has said
/// that nothing has changed. If that reply is late, the error is `replyLost`.
///
/// A claim is not granted once its caller has given up, by the server's clock.
///
/// What a call reports is committed. What survives a crash of the server, or a failover, is up to its settings: see
/// <doc:RunningPostgreSQL>.
public final class PostgresStore: IdempotencyStore {
    /// What tells the database and the schema of the records from others.
    public let identity: StoreIdentity

    let executor: any PostgresExecutor
    let configuration: PostgresStoreConfiguration
    let statements: RecordStatements
    let clock = ServerClock()
    let listener: ChangeListener

    /// Creates a store over a client of your own.
    ///
    /// - Parameters:
    ///   - executor: Runs the statements.
    ///   - configuration: Where the records are, and how long calls take.
    public convenience init(
        executor: any PostgresExecutor,
        configuration: PostgresStoreConfiguration = PostgresStoreConfiguration()
    ) {
        let identity = StoreIdentity(name: "postgres:\(UInt64.random(in: 0...UInt64.max))")
        self.init(executor: executor, configuration: configuration, identity: identity)
    }

    init(executor: any PostgresExecutor, configuration: PostgresStoreConfiguration, identity: StoreIdentity) {
        self.identity = identity
        self.executor = executor
        self.configuration = configuration
        self.statements = RecordStatements(schema: configuration.schema)
        self.listener = ChangeListener(executor: executor, channel: configuration.schema)
    }

    /// Hints at changes made by any process.
    public func changes(of key: StorageKey) -> AsyncStream<Void> {
        self.listener.changes(of: key)
    }
}

// MARK: Settling

extension PostgresStore {
    /// Moves the end of a claim's lease.
    public func renew(_ claim: borrowing Claim, lease: Duration) async throws -> Bool {
        let (key, owner, retention) = (claim.key, claim.owner, claim.retention)
        let isRenewed = try await self.flag {
            self.statements.renew(key, owner: owner, lease: lease, retention: retention, lockWait: $0)
        }
        if isRenewed, lease <= .zero { self.listener.announce(key) }
        return isRenewed
    }

    /// Stores how the operation ended.
    ///
    /// PostgreSQL takes no body of a gigabyte or more.
    public func complete(_ claim: borrowing Claim, with outcome: Outcome, keyTTL: Duration) async throws -> Bool {
        let (key, owner, columns) = (claim.key, claim.owner, OutcomeColumns(outcome))
        let isStored = try await self.flag {
            self.statements.complete(key, owner: owner, with: columns, keyTTL: keyTTL, lockWait: $0)
        }
        if isStored { self.listener.announce(key) }
        return isStored
    }

    /// Frees the key, because nothing was done.
    public func release(_ claim: borrowing Claim) async throws -> Bool {
        let (key, owner, keyTTL) = (claim.key, claim.owner, claim.keyTTL)
        let isReleased = try await self.flag {
            self.statements.release(key, owner: owner, keyTTL: keyTTL, lockWait: $0)
        }
        if isReleased { self.listener.announce(key) }
        return isReleased
    }
}

// MARK: Statements

extension PostgresStore {
    private static let maximumTries = 5

    /// For how long a statement may wait for one lock, of the time that is left.
    ///
    /// PostgreSQL queues those who wait for a record: a statement waits for its turn, and then for the transaction that holds the
    /// record. The last third is for the reply, which says that nothing has changed.
    static func lockWait(within rest: Duration) -> Duration { rest / 3 }

    /// Runs a statement; again if it lost against another transaction, since nothing has changed then.
    ///
    /// - Parameters:
    ///   - deadline: When it has to be done, all tries together; after the limit of the configuration if `nil`.
    ///   - statement: The statement that waits for so long for one lock.
    /// - Returns: The rows.
    /// - Throws: `StoreError`.
    func run(
        by deadline: ContinuousClock.Instant? = nil,
        _ statement: (_ lockWait: Duration) -> PostgresStatement
    ) async throws -> [[PostgresValue]] {
        let deadline = deadline ?? .now + self.configuration.callTimeout
        var tries = 1
        while true {
            let rest = max(.zero, ContinuousClock.now.duration(to: deadline))
            do {
                return try await self.executor.execute(statement(Self.lockWait(within: rest)), timeout: rest)
            } catch let error as PostgresServerError
                where error.isConflict && tries < Self.maximumTries && ContinuousClock.now < deadline
            {
                tries += 1
            } catch let error as PostgresServerError {
                throw StoreError(error, schema: self.configuration.schema)
            }
        }
    }

    /// Runs a statement that waits for no lock.
    func run(
        _ statement: PostgresStatement, by deadline: ContinuousClock.Instant? = nil
    ) async throws -> [[PostgresValue]] {
        try await self.run(by: deadline) { _ in statement }
    }

    /// Runs a function that returns a truth value.
    func flag(_ statement: (_ lockWait: Duration) -> PostgresStatement) async throws -> Bool {
        var row = try RowReader(try await self.run(statement).first)
        return try row.boolean()
    }
}

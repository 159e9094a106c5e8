import Idemptx

/// The statements of a store, for one schema.
///
/// None of them depends on a session or on who runs it: ``complete(_:owner:with:keyTTL:lockWait:mayRepeat:)`` can be part of a
/// transaction of an application.
struct RecordStatements: Sendable {
    /// The name of the schema, in quotes.
    private let schema: String
    /// The texts of those that each request needs, made once.
    private let claim: String
    private let complete: String

    init(schema: String) {
        let quoted = "\"\(schema)\""
        self.schema = quoted
        self.claim = "SELECT * FROM \(quoted).claim($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
        self.complete = "SELECT \(quoted).complete($1, $2, $3, $4, $5, $6, $7, $8)"
    }

    // MARK: Attempts

    func claim(
        _ request: ClaimRequest, notAfter: Timestamp, lockWait: Duration, waits: Bool
    ) -> PostgresStatement {
        PostgresStatement(
            self.claim,
            [
                .bytes(request.key.bytes), .bytes(request.owner.bytes), .integer(Int64(request.fingerprint.recipe)),
                .bytes(request.fingerprint.digestBytes), .boolean(request.comparesFingerprint),
                .text(request.onAbandoned.rawValue), .span(request.lease), .kept(request.retention, request.lease),
                .integer(notAfter.milliseconds), .span(lockWait), .boolean(waits),
            ])
    }

    func renew(
        _ key: StorageKey, owner: OwnerToken, lease: Duration, retention: ClaimRetention, lockWait: Duration
    ) -> PostgresStatement {
        PostgresStatement(
            "SELECT \(self.schema).renew($1, $2, $3, $4, $5)",
            [.bytes(key.bytes), .bytes(owner.bytes), .span(lease), .kept(retention, lease), .span(lockWait)],
            priority: .settle)
    }

    func complete(
        _ key: StorageKey, owner: OwnerToken, with outcome: OutcomeColumns, keyTTL: Duration, lockWait: Duration,
        mayRepeat: Bool = true
    ) -> PostgresStatement {
        PostgresStatement(
            self.complete,
            [
                .bytes(key.bytes), .bytes(owner.bytes), .integer(outcome.status), .bytes(outcome.head),
                .bytes(outcome.body), .span(keyTTL), .span(lockWait), .boolean(mayRepeat),
            ], priority: .settle)
    }

    func release(
        _ key: StorageKey, owner: OwnerToken, keyTTL: Duration, lockWait: Duration
    ) -> PostgresStatement {
        PostgresStatement(
            "SELECT \(self.schema).release($1, $2, $3, $4)",
            [.bytes(key.bytes), .bytes(owner.bytes), .span(keyTTL), .span(lockWait)], priority: .settle)
    }

    // MARK: Operators

    /// Stores an outcome, or frees the key if there is none.
    func settle(
        _ key: StorageKey, with outcome: OutcomeColumns?, keyTTL: Duration, force: Bool, lockWait: Duration
    ) -> PostgresStatement {
        PostgresStatement(
            "SELECT * FROM \(self.schema).settle($1, $2, $3, $4, $5, $6, $7)",
            [
                .bytes(key.bytes), .boolean(force), .integer(outcome?.status), .bytes(outcome?.head),
                .bytes(outcome?.body), .span(keyTTL), .span(lockWait),
            ], priority: .settle)
    }

    func remove(_ key: StorageKey, lockWait: Duration) -> PostgresStatement {
        PostgresStatement(
            "SELECT \(self.schema).remove($1, $2)", [.bytes(key.bytes), .span(lockWait)], priority: .settle)
    }

    /// A record that has not expired, with its outcome.
    func record(_ key: StorageKey) -> PostgresStatement {
        PostgresStatement(
            """
            SELECT \(Self.headerColumns), r.status, r.head, r.body \(self.liveRecords) AND r.key = $1
            """,
            [.bytes(key.bytes)])
    }

    /// The records that have not expired, without their outcomes, sorted by key.
    func records(after key: StorageKey?, limit: Int) -> PostgresStatement {
        PostgresStatement(
            "SELECT \(Self.headerColumns) \(self.liveRecords) AND r.key > $1 ORDER BY r.key LIMIT $2",
            [.bytes(key?.bytes ?? []), .integer(Int64(limit))])
    }

    /// The claims of unknown outcome under a rule that keeps them, sorted by key.
    func unknownRecords(after key: StorageKey?, limit: Int) -> PostgresStatement {
        PostgresStatement(
            """
            SELECT \(Self.headerColumns) \(self.liveRecords) AND r.unsettled AND r.lease_end <= c.now AND r.key > $1
            ORDER BY r.key LIMIT $2
            """,
            [.bytes(key?.bytes ?? []), .integer(Int64(limit))])
    }

    var unknownCount: PostgresStatement {
        PostgresStatement("SELECT count(*) \(self.liveRecords) AND r.unsettled AND r.lease_end <= c.now")
    }

    /// For each state how many records there are, and how many of them are claims whose lease is over.
    var counts: PostgresStatement {
        PostgresStatement(
            """
            SELECT r.state, count(*), count(*) FILTER (WHERE r.state = 1 AND r.lease_end <= c.now) \(self.liveRecords)
            GROUP BY r.state
            """)
    }

    /// What ``RowReader/summary()`` reads.
    private static let headerColumns =
        "c.now, r.key, r.owner, r.recipe, r.digest, r.attempt, r.created, r.expires, r.unknown_since, r.state, r.lease_end"

    // In a subquery of its own, the clock is asked once.
    private var liveRecords: String {
        "FROM (SELECT \(self.schema).clock() AS now OFFSET 0) c, \(self.schema).record r WHERE r.expires > c.now"
    }

    // MARK: The rest

    func sweep(records: Int, bytes: Int) -> PostgresStatement {
        PostgresStatement(
            "SELECT * FROM \(self.schema).sweep($1, $2)", [.integer(Int64(records)), .integer(Int64(bytes))],
            priority: .background)
    }

    var clock: PostgresStatement { PostgresStatement("SELECT \(self.schema).clock()") }

    var installedVersion: PostgresStatement {
        PostgresStatement("SELECT coalesce(max(version), 0) FROM \(self.schema).migration")
    }

    /// The settings on which it depends what a crash leaves, and whether the server is a standby.
    static let safety = PostgresStatement(
        """
        SELECT current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit'),
            pg_is_in_recovery()
        """)
}

extension PostgresValue {
    /// Milliseconds, and never more than a century: sums with it fit into what a column takes.
    fileprivate static func span(_ duration: Duration) -> PostgresValue {
        .integer(min(max(0, duration.wholeMilliseconds), Self.century))
    }

    /// How long a claimed record is kept; `NULL` for good.
    fileprivate static func kept(_ retention: ClaimRetention, _ lease: Duration) -> PostgresValue {
        let now = Timestamp(milliseconds: 0)
        let expires = retention.expiry(lease: lease, now: now)
        return expires == .distantFuture ? .null : .span(now.duration(to: expires))
    }

    private static let century: Int64 = 3_155_760_000_000
}

import Idemptx
import Logging
public import ServiceLifecycle

extension PostgresStore {
    /// The SQL that installs the schema of a store, for those who run migrations by themselves.
    ///
    /// It is one statement, in one transaction, and can be run again: it installs what is missing.
    ///
    /// - Parameter schema: The name of the schema, as in ``PostgresStoreConfiguration/schema``.
    /// - Returns: The statement.
    public static func migrationSQL(schema: String = PostgresStoreConfiguration().schema) -> String {
        PostgresStoreConfiguration.check(schema)
        return Migration.sql(schema: schema)
    }

    /// Installs the schema, or brings it up to date.
    ///
    /// Several processes may do so at the same time. If there is nothing to do, a role that may only use the schema is enough.
    ///
    /// - Throws: `StoreError` with code `misconfigured` if the role may not, or if a later version of this package has
    ///   installed the schema: it is left as it is.
    public func migrate() async throws {
        let installed = try await self.installedVersion() ?? 0
        try self.check(installed: installed)
        if installed == Migration.version { return }
        _ = try await self.run(
            PostgresStatement(Migration.sql(schema: self.configuration.schema)), by: .now + .seconds(60))
    }

    /// Checks that the schema is that of this version, and how safe the settings of the server are.
    ///
    /// A setting that lets a crash forget what the server has acknowledged is logged as a warning.
    ///
    /// - Throws: `StoreError`: `unavailable` if the server cannot be reached or is a standby, `misconfigured` if it refuses the
    ///   connection, or if the schema is missing or of another version.
    public func verify() async throws {
        guard let installed = try await self.installedVersion() else {
            throw StoreError(PostgresServerError(sqlState: "3F000", message: ""), schema: self.configuration.schema)
        }
        try self.check(installed: installed)
        guard installed == Migration.version else {
            throw StoreError(
                .misconfigured, "The schema in PostgreSQL is of an earlier version: run 'idemptx store migrate'.")
        }
        var row = try RowReader(try await self.run(RecordStatements.safety).first)
        for name in ["fsync", "full_page_writes", "synchronous_commit"] where try row.text() == "off" {
            Logger.current.warning(
                "A crash of PostgreSQL can forget claims and responses that it has acknowledged, and their operations run twice",
                metadata: ["postgres.setting": "\(name) = off"])
        }
        if try row.boolean() { throw StoreError(.unavailable, "PostgreSQL takes no writes now: it is a standby.") }
    }

    /// `nil` if there is no schema.
    private func installedVersion() async throws -> Int64? {
        do {
            var row = try RowReader(try await self.run(self.statements.installedVersion).first)
            return try row.integer()
        } catch let error as StoreError {
            guard let refusal = error.underlyingError as? PostgresServerError, refusal.isMissingSchema else {
                throw error
            }
            return nil
        }
    }

    private func check(installed: Int64) throws(StoreError) {
        guard installed > Migration.version else { return }
        throw StoreError(
            .misconfigured,
            """
            The schema in PostgreSQL was installed by a later version of idemptx (\(installed); this one knows \
            \(Migration.version)).
            """)
    }
}

extension PostgresStore: Service {
    /// Does ``verify()`` as soon as the server can be reached, then sweeps out expired records until the service group shuts
    /// down.
    ///
    /// Nothing but space depends on it. It fails only as ``verify()`` does for a wrong set-up.
    public func run() async throws {
        do {
            try await cancelWhenGracefulShutdown { try await self.verifyWhenReachable() }
        } catch is CancellationError {
            return
        }
        try await ExpirySweeper(store: self, interval: self.configuration.sweepInterval, time: .wallClock).run()
    }

    private func verifyWhenReachable() async throws {
        while true {
            do {
                return try await self.verify()
            } catch let error as StoreError where error.code != .misconfigured {
                Logger.current.info("PostgreSQL cannot be asked for its settings yet", metadata: ["error": "\(error)"])
                try await Task.sleep(for: .seconds(5))
            }
        }
    }
}

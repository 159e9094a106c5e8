import ArgumentParser
import Idemptx
import IdemptxPostgres

/// `idemptx store`: the schema of a store in PostgreSQL.
struct StoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store",
        abstract: "Installs what a store needs in PostgreSQL, or prints it.",
        discussion: "Other stores need nothing.",
        subcommands: [MigrateStore.self, PrintMigration.self]
    )
}

/// `idemptx store migrate`: installs the schema.
struct MigrateStore: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate",
        abstract: "Installs the schema in PostgreSQL, or brings it up to date.",
        discussion: """
            Nothing happens to one that is up to date. The demo and the proxy do the same when they start, if their role \
            may.
            """)

    @OptionGroup var schema: SchemaOptions

    func run() async throws {
        let settings = try self.schema.settings()
        guard case .postgres(let url) = settings.location else { throw SchemaOptions.otherStore }
        do {
            let store = try PostgresStore(
                url: url, connection: settings.postgresConnection, configuration: settings.postgres)
            try await store.migrate()
        } catch let error as StoreError {
            throw CommandError("--store: \(error.message)")
        }
        try Output.write("The schema \(settings.postgres.schema) is up to date.\n")
    }
}

/// `idemptx store migration`: prints the SQL of the schema.
struct PrintMigration: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migration",
        abstract: "Prints the SQL that installs the schema, for those who run migrations by themselves.",
        discussion: "It is one statement, and can be run again. The server is not asked.")

    @OptionGroup var schema: SchemaOptions

    func run() async throws {
        let settings = try self.schema.settings()
        guard case .postgres = settings.location else { throw SchemaOptions.otherStore }
        try Output.write(PostgresStore.migrationSQL(schema: settings.postgres.schema))
    }
}

/// Which schema is meant.
struct SchemaOptions: ParsableArguments {
    @OptionGroup var store: StoreOptions

    @Option(help: "The schema that holds the records. (default: idemptx)")
    var postgresSchema: String?

    func settings() throws -> StoreSettings {
        var settings = try self.store.settings(flags: ["postgresSchema": self.postgresSchema])
        return try StoreSettings(&settings)
    }

    static let otherStore = CommandError("--store: only a store in PostgreSQL has a schema: postgres://HOST/DATABASE.")
}

import Idemptx

/// The table and the functions of a store, as the statement that installs them.
///
/// A version adds to the one before: while an application is deployed, processes of both use the schema. What has been released
/// is never edited.
enum Migration {
    /// The version that this package works with.
    static let version: Int64 = 1

    /// Installs what is missing, in one transaction.
    ///
    /// - Parameter schema: A valid name.
    /// - Returns: One statement.
    static func sql(schema: String) -> String {
        let definitions = String(decoding: PackageResources.version1_sql, as: UTF8.self)
        let statement = """
            -- Installs the schema of idemptx, version \(self.version). Can be run again, and by several at once.
            DO $migration$
            DECLARE
                installed integer;
            BEGIN
            -- Whoever comes second waits for the first. The number is the name of the project in ASCII.
            PERFORM pg_advisory_xact_lock(29665259345179768);
            -- Asked first: whoever may use a schema may not be allowed to create one.
            IF to_regnamespace('"idemptx"') IS NULL THEN
                CREATE SCHEMA "idemptx";
            END IF;
            IF to_regclass('"idemptx".migration') IS NULL THEN
                CREATE TABLE "idemptx".migration (
                    version integer PRIMARY KEY,
                    installed_at timestamptz NOT NULL DEFAULT clock_timestamp()
                );
            END IF;
            SELECT coalesce(max(version), 0) INTO installed FROM "idemptx".migration;
            IF installed > \(self.version) THEN
                RAISE EXCEPTION 'the schema was installed by a later version of idemptx' USING ERRCODE = 'IX001';
            END IF;

            IF installed < 1 THEN

            \(definitions)
            INSERT INTO "idemptx".migration (version) VALUES (1);
            END IF;
            END
            $migration$

            """
        return statement.replacing("\"idemptx\"", with: "\"\(schema)\"").replacing("'idemptx'", with: "'\(schema)'")
    }
}

package import Idemptx
import LibPQ

extension PostgresServerError {
    /// Whether the same statement can succeed at once: the transaction lost against another.
    var isConflict: Bool { ["40001", "40P01"].contains(self.sqlState) }

    /// Whether the schema of the store, or a part of it, is missing.
    var isMissingSchema: Bool { ["3F000", "42P01", "42883"].contains(self.sqlState) }
}

extension StoreError {
    /// Whether this machine has no libpq: it can be installed later.
    package var isMissingLibPQ: Bool {
        if case .libraryMissing? = self.underlyingError as? PostgresError { true } else { false }
    }

    /// Whether libpq rejected a setting before it contacted a server.
    package var isRefusedByLibPQ: Bool {
        if case .settingsRefused? = self.underlyingError as? PostgresError { true } else { false }
    }

    /// What a server refused, and rolled back: nothing has changed.
    ///
    /// The server's message is quoted only where it names nothing but objects and roles of the database.
    init(_ error: PostgresServerError, schema: String) {
        let (code, message) = Self.meaning(of: error, schema: schema)
        if error.isConflict || error.sqlState == "55P03" {
            self.init(recordBusy: message, underlyingError: error)
        } else {
            self.init(code, message, underlyingError: error)
        }
    }

    private static func meaning(of error: PostgresServerError, schema: String) -> (Code, String) {
        switch error.sqlState {
        case _ where error.isMissingSchema:
            (
                .misconfigured,
                """
                The schema \(schema) of PostgreSQL is not installed: call migrate(), run 'idemptx store migrate', or run \
                the SQL that 'idemptx store migration' prints.
                """
            )
        case "42501": (.misconfigured, "The role of PostgreSQL may not do what the store does: \(error.message).")
        case "IX001": (.misconfigured, "PostgreSQL refused: \(error.message).")
        case "IX002": (.unavailable, Self.tooLate.message)
        case "55P03": (.unavailable, "Another transaction of PostgreSQL holds a lock.")
        case "25006": (.unavailable, "PostgreSQL takes no writes now: it is a standby, or read-only (25006).")
        case "53100": (.unavailable, "The disk of PostgreSQL is full (53100).")
        case "54000": (.recordTooLarge, "The outcome is too large for PostgreSQL (54000).")
        case "XX001", "XX002": (.corruptRecord, "PostgreSQL found damaged data (\(error.sqlState)).")
        default: (Self.code(ofClass: error.sqlState.prefix(2)), "PostgreSQL refused a statement: \(error.sqlState).")
        }
    }

    private static func code(ofClass name: Substring) -> Code {
        switch name {
        // A pooler says so when it has lost the server's reply.
        case "08": .replyLost
        // Conflicts, resources, states of objects and operators, the system, internal errors.
        case "25", "40", "53", "55", "57", "58", "XX": .unavailable
        default: .misconfigured
        }
    }
}

import GRDB
import Idemptx

extension StoreError {
    static let fileIsGone = StoreError(.unavailable, "The SQLite file was moved or deleted.")

    static let tooLate = StoreError(.unavailable, "A call waited too long for SQLite.")

    /// What went wrong with a statement whose transaction was not committed: nothing has changed.
    init(sqlite error: any Error) {
        if let error = error as? StoreError {
            self = error
            return
        }
        self.init(Self.code(of: error), "SQLite failed: \(Self.describe(error)).", underlyingError: error)
    }

    /// A text that quotes no value: GRDB hides the arguments of statements unless told otherwise.
    static func describe(_ error: any Error) -> String {
        guard let error = error as? DatabaseError else { return "\(type(of: error))" }
        return error.message ?? "\(error.resultCode)"
    }

    private static func code(of error: any Error) -> Code {
        switch (error as? DatabaseError)?.resultCode {
        case .SQLITE_TOOBIG: .recordTooLarge
        case .SQLITE_CORRUPT, .SQLITE_NOTADB, .SQLITE_READONLY, .SQLITE_ERROR: .misconfigured
        default: .unavailable
        }
    }
}

import Foundation
import Synchronization

/// libpq, loaded when it is first needed.
enum PQLibrary {
    // By where they were looked for. None is unloaded: its threads and locks may live on.
    private static let loaded = Mutex<[[String]: PQFunctions]>([:])

    /// Loads the first library of the list that is there.
    ///
    /// - Throws: ``PostgresError/libraryMissing(_:)``.
    static func load(_ paths: [String]) throws(PostgresError) -> PQFunctions {
        try self.loaded.withLock { loaded throws(PostgresError) in
            if let functions = loaded[paths] { return functions }
            let functions = try self.firstOf(paths)
            loaded[paths] = functions
            return functions
        }
    }

    private static func firstOf(_ paths: [String]) throws(PostgresError) -> PQFunctions {
        for path in paths {
            guard let library = DynamicLibrary(path) else { continue }
            do {
                return try PQFunctions(library)
            } catch {
                throw .libraryMissing("\(path) is not PostgreSQL's client library libpq: it has no \(error.name).")
            }
        }
        throw .libraryMissing(
            "PostgreSQL's client library libpq was not found: install libpq5 (Debian, Ubuntu) or libpq (brew).")
    }
}

extension PostgresConfiguration {
    /// Where libpq usually is: where the system looks, and where brew keeps it.
    package static let defaultLibraryPaths = [
        "libpq.so.5", "libpq.so", "libpq.5.dylib",
        "/opt/homebrew/opt/libpq/lib/libpq.5.dylib", "/usr/local/opt/libpq/lib/libpq.5.dylib",
        "/opt/homebrew/lib/libpq.5.dylib", "/usr/local/lib/libpq.5.dylib",
        "/opt/homebrew/opt/postgresql@17/lib/libpq.5.dylib", "/opt/homebrew/opt/postgresql@15/lib/libpq.5.dylib",
        "/opt/homebrew/opt/postgresql@17/lib/postgresql/libpq.5.dylib",
        "/opt/homebrew/opt/postgresql@15/lib/postgresql/libpq.5.dylib",
    ]
}

import Foundation
import TestSupport

/// The programs of a PostgreSQL installation, and the user who may run them.
struct PostgresPrograms: Sendable {
    /// Where `postgres`, `initdb` and the others are.
    private let directory: String

    /// Those of `IDEMPTX_TEST_POSTGRES`, a directory; else the newest of Debian's, brew's, or the ones in `PATH`.
    ///
    /// - Throws: ``ServerFailure`` if there are none.
    static func installed() throws(ServerFailure) -> PostgresPrograms {
        let environment = ProcessInfo.processInfo.environment
        var candidates = environment["IDEMPTX_TEST_POSTGRES"].map { [$0] } ?? []
        candidates += Self.newestFirst("/usr/lib/postgresql").map { "/usr/lib/postgresql/\($0)/bin" }
        for prefix in ["/opt/homebrew/opt", "/usr/local/opt"] {
            candidates += Self.newestFirst(prefix).filter { $0.hasPrefix("postgresql@") }.map { "\(prefix)/\($0)/bin" }
        }
        candidates += (environment["PATH"] ?? "").split(separator: ":").map { String($0) }
        let directory = candidates.first { directory in
            ["postgres", "initdb"].allSatisfy { FileManager.default.isExecutableFile(atPath: "\(directory)/\($0)") }
        }
        guard let directory else {
            throw ServerFailure("There is no PostgreSQL server. These tests need one: apt-get install postgresql.")
        }
        return PostgresPrograms(directory: directory)
    }

    private static func newestFirst(_ directory: String) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        return names.sorted { $0.compare($1, options: .numeric) == .orderedDescending }
    }

    /// A command line, as a user whom PostgreSQL accepts: it refuses to be run by root.
    func command(_ program: String, _ arguments: [String]) -> [String] {
        self.user + ["\(self.directory)/\(program)"] + arguments
    }

    /// The command line of a program of the system, as that user.
    func systemCommand(_ arguments: [String]) -> [String] { self.user + arguments }

    /// Runs a program of the system as that user.
    func runSystem(_ arguments: [String]) async throws {
        try await Self.run(self.systemCommand(arguments))
    }

    /// Runs a program of PostgreSQL to its end.
    func run(_ program: String, _ arguments: [String]) async throws {
        try await Self.run(self.command(program, arguments))
    }

    /// Creates a directory that belongs to that user.
    func createDirectory(_ directory: URL) async throws {
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false)
        if Self.isRoot { try await Self.run(["chown", "\(Self.substitute):", directory.path]) }
    }

    /// Copies a file so that only that user reads it.
    func copy(_ file: String, to target: URL) async throws {
        try FileManager.default.copyItem(at: URL(filePath: file), to: target)
        if Self.isRoot { try await Self.run(["chown", "\(Self.substitute):", target.path]) }
        try await Self.run(["chmod", "600", target.path])
    }

    private var user: [String] {
        Self.isRoot ? ["setpriv", "--reuid=\(Self.substitute)", "--regid=\(Self.substitute)", "--clear-groups"] : []
    }

    private static var isRoot: Bool { geteuid() == 0 }
    /// The user that the package of the server brings.
    private static let substitute = "postgres"

    private static func run(_ arguments: [String]) async throws {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = arguments
        process.currentDirectoryURL = URL(filePath: "/")
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        // Waiting for it would block a thread that all tasks share.
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            process.terminationHandler = { _ in continuation.resume() }
            do {
                try process.run()
            } catch {
                continuation.resume(throwing: error)
            }
        }
        guard process.terminationStatus == 0 else {
            throw ServerFailure("`\(arguments.joined(separator: " "))` failed.")
        }
    }
}

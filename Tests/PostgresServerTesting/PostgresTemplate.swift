import Foundation
import TestSupport

/// A data directory that has been initialised once for all servers of this process, which copy it.
struct PostgresTemplate: Sendable {
    let programs: PostgresPrograms
    let data: URL
    /// Removes the directory when this process ends.
    private let remover: ServerProcess

    private static let made = Task { try await PostgresTemplate() }

    /// The template, made on first use.
    static func shared() async throws -> PostgresTemplate { try await Self.made.value }

    private init() async throws {
        let programs = try PostgresPrograms.installed()
        let directory = FileManager.default.temporaryDirectory.appending(
            path: "postgres-\(UInt32.random(in: 0...UInt32.max))")
        try await programs.createDirectory(directory)
        self.programs = programs
        self.data = directory.appending(path: "data")
        self.remover = try ServerProcess(["tail", "-f", "/dev/null"], in: directory, removesDirectory: true)
        try await programs.run(
            "initdb",
            [
                "--pgdata=\(self.data.path)", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C",
                "--no-sync",
            ])
    }
}

import Foundation
import TestSupport

/// A data directory that has been initialised once for all servers of this process, which copy it and live beside it.
struct PostgresTemplate: Sendable {
    let programs: PostgresPrograms
    private let directory: URL
    /// Removes the directory with all servers when this process ends.
    private let remover: ServerProcess

    private static let made = Task { try await PostgresTemplate() }

    /// The template, made on first use.
    static func shared() async throws -> PostgresTemplate { try await Self.made.value }

    /// Makes a directory for a server.
    func makeDirectory() async throws -> URL {
        let directory = self.directory.appending(path: "\(UInt32.random(in: 0...UInt32.max))")
        try await self.programs.createDirectory(directory)
        return directory
    }

    /// Copies the data.
    func copy(to target: URL) async throws {
        let data = self.directory.appending(path: "data")
        try await self.programs.runSystem(["cp", "-R", "-p", data.path, target.path])
    }

    private init() async throws {
        let programs = try PostgresPrograms.installed()
        // Short, since a socket's path has a narrow limit.
        let directory = FileManager.default.temporaryDirectory.appending(
            path: "postgres-\(UInt32.random(in: 0...UInt32.max))")
        try await programs.createDirectory(directory)
        self.programs = programs
        self.directory = directory
        self.remover = try ServerProcess(["tail", "-f", "/dev/null"], in: directory, removesDirectory: true)
        try await programs.run(
            "initdb",
            [
                "--pgdata=\(directory.appending(path: "data").path)", "--username=postgres", "--auth=trust",
                "--encoding=UTF8", "--locale=C",
                "--no-sync",
            ])
    }
}

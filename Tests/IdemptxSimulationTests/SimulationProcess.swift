import Foundation

/// A process that belongs to a simulation, and what it printed.
///
/// The tests do not link the simulation: it takes all tasks and all random numbers of its process over.
struct SimulationProcess: Sendable {
    /// The simulation hooks into the concurrency runtime and the C library as they are on Linux.
    #if os(Linux)
    static let isSupported = true
    #else
    static let isSupported = false
    #endif

    let status: Int32
    let lines: [String]

    /// `idemptx-simulation`, beside the bundle of the tests, where the package manager builds it.
    private static var executable: URL {
        URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent().appending(path: "idemptx-simulation")
    }

    /// Runs to the end.
    init(_ arguments: String...) async throws {
        try await self.init(arguments)
    }

    init(_ arguments: [String]) async throws {
        let file = URL(filePath: NSTemporaryDirectory()).appending(path: "idemptx-simulation-\(UUID())")
        try Data().write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let process = Process()
        process.executableURL = Self.executable
        process.arguments = arguments
        let output = try FileHandle(forWritingTo: file)
        process.standardOutput = output
        process.standardError = output
        self.status = try await withCheckedThrowingContinuation { continuation in
            process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
            do {
                try process.run()
            } catch {
                continuation.resume(throwing: error)
            }
        }
        self.lines = String(decoding: try Data(contentsOf: file), as: UTF8.self).split(separator: "\n").map(String.init)
    }

    /// The end of the output, for the report of a failure.
    var tail: String { self.lines.suffix(60).joined(separator: "\n") }
}

import Foundation
import TestSupport
import Testing

/// The real executable, running in a directory of its own.
///
/// It is killed when the last reference is gone.
final class CommandProcess: Sendable {
    /// Where a process works, and what is left of it for the next.
    final class Directory: Sendable {
        let path = NSTemporaryDirectory() + "/idemptx-" + UUID().uuidString

        init() throws {
            try FileManager.default.createDirectory(atPath: self.path, withIntermediateDirectories: true)
        }

        /// An environment in which the system finds a file that is no library where it looks for libpq first.
        func environmentWithoutLibPQ() throws -> [String: String] {
            let libraries = self.path + "/libraries"
            try FileManager.default.createDirectory(atPath: libraries, withIntermediateDirectories: false)
            for name in ["libpq.so.5", "libpq.so", "libpq.5.dylib"] {
                try Data("no library".utf8).write(to: URL(filePath: "\(libraries)/\(name)"))
            }
            return ["LD_LIBRARY_PATH": libraries, "DYLD_LIBRARY_PATH": libraries]
        }

        deinit {
            try? FileManager.default.removeItem(atPath: self.path)
        }
    }

    /// `idemptx`, beside the bundle of the tests, where the package manager builds it.
    static var executable: URL {
        #if os(macOS)
        let bundle = Bundle.allBundles.first { $0.bundlePath.hasSuffix(".xctest") }?.bundleURL
        #else
        let bundle: URL? = nil
        #endif
        return (bundle ?? URL(filePath: CommandLine.arguments[0]))
            .deletingLastPathComponent().appending(path: "idemptx")
    }

    private let process = Process()
    private let directory: Directory
    private let output: URL
    private let errors: URL

    /// Starts `idemptx`, or another program.
    init(
        _ arguments: [String],
        of program: URL? = nil,
        in directory: Directory,
        environment: [String: String] = [:],
        input: FileHandle = .nullDevice
    ) throws {
        self.directory = directory
        let base = URL(filePath: directory.path)
        self.output = base.appending(path: "\(UUID()).out")
        self.errors = base.appending(path: "\(UUID()).err")
        for file in [self.output, self.errors] { try Data().write(to: file) }
        self.process.executableURL = program ?? Self.executable
        self.process.arguments = arguments
        self.process.currentDirectoryURL = base
        // The environment of the tests does not reach the processes that they start.
        let inherited = ProcessInfo.processInfo.environment.filter { name, _ in
            !name.hasPrefix("IDEMPTX_") && name != "LOG_LEVEL"
        }
        self.process.environment = inherited.merging(environment) { $1 }
        self.process.standardInput = input
        let handles = try [self.output, self.errors].map { try FileHandle(forWritingTo: $0) }
        self.process.standardOutput = handles[0]
        self.process.standardError = handles[1]
        // Foundation keeps them open in this process for as long as it lives.
        defer { for handle in handles { try? handle.close() } }
        try self.process.run()
    }

    deinit {
        self.signal(SIGKILL)
    }

    var outputText: String { (try? String(contentsOf: self.output, encoding: .utf8)) ?? "" }

    var errorText: String { (try? String(contentsOf: self.errors, encoding: .utf8)) ?? "" }

    func signal(_ signal: Int32) {
        guard self.process.isRunning else { return }
        kill(self.process.processIdentifier, signal)
    }

    /// Ends the process without a chance to do anything about it.
    func killHard() async throws {
        self.signal(SIGKILL)
        _ = try await self.exitStatus()
    }

    /// Waits for the end of the process.
    func exitStatus() async throws -> Int32 {
        try await eventually("The end of the process") { !self.process.isRunning }
        return self.process.terminationStatus
    }
}

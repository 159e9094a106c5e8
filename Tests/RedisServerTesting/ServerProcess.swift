import Foundation
import Synchronization
import TestSupport

/// A server process that does not outlive the test.
///
/// A shell stands between: it waits until its standard input is closed, which also happens when the process of the test
/// dies, and then kills the server.
final class ServerProcess: Sendable {
    private static let script = #"""
        log=$1; pid=$2; shift 2
        "$@" >"$log" 2>&1 &
        echo $! >"$pid.new" && mv "$pid.new" "$pid"
        cat >/dev/null
        kill -9 $! 2>/dev/null
        """#

    private let shell = Mutex<Process?>(nil)
    private let leash = Pipe()
    private let directory: URL

    /// Starts a program in a directory of its own.
    init(_ arguments: [String], in directory: URL) throws {
        self.directory = directory
        try? FileManager.default.removeItem(at: self.pidFile)
        let process = Process()
        process.executableURL = URL(filePath: "/bin/sh")
        process.arguments = ["-c", Self.script, "sh", self.logFile.path, self.pidFile.path] + arguments
        process.currentDirectoryURL = directory
        process.standardInput = self.leash
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        self.shell.withLock { $0 = process }
    }

    deinit {
        self.stop()
    }

    private var pidFile: URL { self.directory.appending(path: "pid") }
    private var logFile: URL { self.directory.appending(path: "log") }

    /// What the server has printed.
    var log: String { (try? String(contentsOf: self.logFile, encoding: .utf8)) ?? "" }

    private var pid: pid_t? {
        (try? String(contentsOf: self.pidFile, encoding: .utf8))
            .flatMap { pid_t($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
    }

    /// Sends a signal to the server.
    func signal(_ number: Int32) {
        if let pid = self.pid { kill(pid, number) }
    }

    /// Kills the server and waits until it is gone.
    func kill9() async throws {
        guard let pid = self.pid else { return }
        kill(pid, SIGKILL)
        try await eventually("a killed server is gone") { kill(pid, 0) != 0 }
    }

    /// Kills the server, if it still runs.
    func stop() {
        let process = self.shell.withLock { shell in
            defer { shell = nil }
            return shell
        }
        guard let process else { return }
        try? self.leash.fileHandleForWriting.close()
        process.waitUntilExit()
    }
}

package import Foundation
import Synchronization

/// A server process that does not outlive the test.
///
/// A shell stands between: it waits until its standard input is closed, which also happens when the process of the test
/// dies, and then ends the server.
package final class ServerProcess: Sendable {
    /// How to end a server.
    package enum Ending: String, Sendable {
        /// It has time for nothing.
        case kill = "KILL"
        /// It has time to end its own processes.
        case quit = "QUIT"
    }

    private static let script = #"""
        log=$1; pid=$2; ending=$3; garbage=$4; shift 4
        "$@" >"$log" 2>&1 &
        echo $! >"$pid.new" && mv "$pid.new" "$pid"
        cat >/dev/null
        kill -CONT $! 2>/dev/null
        kill -s "$ending" $! 2>/dev/null && wait $!
        [ -n "$garbage" ] || exit 0
        for attempt in 1 2 3 4 5; do rm -rf "$garbage" && break; sleep 1; done
        """#

    private let shell = Mutex<Process?>(nil)
    private let leash = Pipe()
    private let directory: URL

    /// Starts a program in a directory of its own.
    ///
    /// - Parameters:
    ///   - arguments: The path of the program, and what it is told.
    ///   - directory: Where it runs.
    ///   - ending: How it ends.
    ///   - removesDirectory: Whether the directory is removed with the process.
    /// - Throws: What the system says if it cannot be started.
    package init(
        _ arguments: [String], in directory: URL, ending: Ending = .kill, removesDirectory: Bool = false
    ) throws {
        self.directory = directory
        try? FileManager.default.removeItem(at: self.pidFile)
        let process = Process()
        process.executableURL = URL(filePath: "/bin/sh")
        let garbage = removesDirectory ? directory.path : ""
        process.arguments =
            ["-c", Self.script, "sh", self.logFile.path, self.pidFile.path, ending.rawValue, garbage] + arguments
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
    package var log: String { (try? String(contentsOf: self.logFile, encoding: .utf8)) ?? "" }

    /// The number of the server's process, once it runs.
    package var pid: pid_t? {
        (try? String(contentsOf: self.pidFile, encoding: .utf8))
            .flatMap { pid_t($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
    }

    /// Sends a signal to the server.
    package func signal(_ number: Int32) {
        if let pid = self.pid { kill(pid, number) }
    }

    /// Kills the server and waits until it is gone.
    package func kill9() async throws {
        guard let pid = self.pid else { return }
        kill(pid, SIGKILL)
        try await eventually("a killed server is gone") { kill(pid, 0) != 0 }
    }

    /// Ends the server, if it still runs.
    package func stop() {
        let process = self.shell.withLock { shell in
            defer { shell = nil }
            return shell
        }
        guard let process else { return }
        try? self.leash.fileHandleForWriting.close()
        process.waitUntilExit()
    }
}

import Foundation

/// Which process has started which.
enum ProcessTree {
    /// The processes that a process has started itself.
    static func children(of pid: pid_t) -> [pid_t] {
        let file = "/proc/\(pid)/task/\(pid)/children"
        if let list = try? String(contentsOfFile: file, encoding: .utf8) {
            return list.split(separator: " ").compactMap { pid_t($0) }
        }
        return Self.all.filter { $0.parent == pid }.map(\.pid)
    }

    /// By `ps`, where there is no `/proc`.
    private static var all: [(pid: pid_t, parent: pid_t)] {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(filePath: "/bin/ps")
        process.arguments = ["-A", "-o", "pid=,ppid="]
        process.standardOutput = output
        guard (try? process.run()) != nil else { return [] }
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return text.split(separator: "\n").compactMap { line in
            let numbers = line.split(separator: " ").compactMap { pid_t($0) }
            return numbers.count == 2 ? (numbers[0], numbers[1]) : nil
        }
    }
}

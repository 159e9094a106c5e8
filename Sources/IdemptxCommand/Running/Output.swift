import ArgumentParser
import Foundation

/// What commands write: tables for people, JSON for scripts.
enum Output {
    static func write(_ text: String) throws {
        try self.write(Array(text.utf8))
    }

    static func write(_ bytes: [UInt8]) throws {
        do {
            try FileHandle.standardOutput.write(contentsOf: Data(bytes))
        } catch  where Self.isBrokenPipe(error) {
            // The reader has closed its end, as `head` does.
            throw ExitCode.failure
        } catch {
            throw CommandError("Standard output cannot be written to.")
        }
    }

    static func write(json value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try self.write(String(decoding: try encoder.encode(value), as: UTF8.self) + "\n")
    }

    /// Columns as wide as their widest cell.
    static func write(table rows: [[String]]) throws {
        let widths = rows.reduce(into: [Int]()) { widths, row in
            for (index, cell) in row.enumerated() {
                if index == widths.count { widths.append(0) }
                widths[index] = max(widths[index], cell.count)
            }
        }
        let lines = rows.map { row in
            let cells = zip(row, widths).map { $0.padding(toLength: $1, withPad: " ", startingAt: 0) }
            return cells.joined(separator: "  ").trimmingSuffix(" ") + "\n"
        }
        try self.write(lines.joined())
    }

    /// Tells a person something beside what a command was asked for.
    ///
    /// A failure to write is ignored.
    static func tell(_ text: String) {
        try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
    }

    /// Tells on standard output that a server is ready, if anybody is there to be told.
    static func announce(_ text: String) {
        try? self.write(text)
    }

    private static func isBrokenPipe(_ error: any Error) -> Bool {
        let posix = ((error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError) ?? error as NSError
        return posix.domain == NSPOSIXErrorDomain && posix.code == Int(EPIPE)
    }
}

extension String {
    fileprivate func trimmingSuffix(_ character: Character) -> String {
        var text = self
        while text.last == character { text.removeLast() }
        return text
    }
}

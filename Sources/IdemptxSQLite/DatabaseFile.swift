import Foundation

/// The identity of the file at a path: its device and inode.
struct DatabaseFile: Hashable, Sendable {
    private let path: String
    private let device: UInt64
    private let inode: UInt64

    /// - Returns: `nil` if there is no file, such as for a database in memory.
    init?(path: String) {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return nil }
        self.path = path
        self.device = UInt64(status.st_dev)
        self.inode = UInt64(status.st_ino)
    }

    /// Whether the path still leads to this file.
    ///
    /// Open connections do not notice that their file was moved or deleted. What they write then is invisible to other
    /// processes.
    var isInPlace: Bool { DatabaseFile(path: self.path) == self }

    /// The same for every path that leads to the file.
    var name: String { "sqlite:\(self.device):\(self.inode)" }
}

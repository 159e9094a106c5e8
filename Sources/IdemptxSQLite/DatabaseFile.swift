import Foundation

/// The file that a path leads to, told from another that takes its place.
struct DatabaseFile: Hashable, Sendable {
    private let path: String
    private let device: UInt64
    private let inode: UInt64

    /// Finds the file.
    ///
    /// - Returns: `nil` if there is none, such as for a database in memory.
    init?(path: String) {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return nil }
        self.path = path
        self.device = UInt64(status.st_dev)
        self.inode = UInt64(status.st_ino)
    }

    /// Whether the path still leads to it.
    ///
    /// Of a file that was moved or deleted, open connections notice nothing: what they write is lost to everybody else.
    var isInPlace: Bool { DatabaseFile(path: self.path) == self }

    /// What tells it from others, however it is named.
    var name: String { "sqlite:\(self.device):\(self.inode)" }
}

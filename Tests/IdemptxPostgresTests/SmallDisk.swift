import Foundation
import TestSupport

/// A file system of eight megabytes that belongs to the user who runs PostgreSQL.
struct SmallDisk {
    let path: String

    /// Mounts one in a directory of that user.
    static func mount(in directory: String) async throws -> SmallDisk {
        let disk = SmallDisk(path: directory + "/small")
        try FileManager.default.createDirectory(atPath: disk.path, withIntermediateDirectories: false)
        let owner = try FileManager.default.attributesOfItem(atPath: directory)[.ownerAccountID] as? NSNumber
        let options = "size=8m,mode=700,uid=\(owner?.intValue ?? 0)"
        guard try disk.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk.path]) == 0 else {
            throw ServerFailure("There can be no small file system here.")
        }
        return disk
    }

    /// Also while the server uses it.
    func unmount() {
        _ = try? self.run(["umount", "--lazy", self.path])
    }

    private func run(_ arguments: [String]) throws -> Int32 {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus
    }
}

import Foundation
import TestSupport

/// A server program.
package struct RedisBinary: Sendable, Hashable, CustomStringConvertible {
    /// What to call it in a test's name.
    package let description: String
    /// Where it is; empty if it was not found.
    package let path: String

    /// The `redis-server` that is found in `PATH`.
    package static let installed: RedisBinary = {
        let directories = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        let candidates = directories.map { "\($0)/redis-server" }
        let path = candidates.first { FileManager.default.isExecutableFile(atPath: $0) }
        return RedisBinary(description: "redis-server", path: path ?? "")
    }()

    /// Others, as far as their variables are set: `IDEMPTX_TEST_REDIS_6_2`, `IDEMPTX_TEST_REDIS_7_4`,
    /// `IDEMPTX_TEST_VALKEY`.
    package static let others: [RedisBinary] =
        [
            ("IDEMPTX_TEST_REDIS_6_2", "Redis 6.2"),
            ("IDEMPTX_TEST_REDIS_7_4", "Redis 7.4"),
            ("IDEMPTX_TEST_VALKEY", "Valkey"),
        ].compactMap { variable, name in
            ProcessInfo.processInfo.environment[variable].map { RedisBinary(description: name, path: $0) }
        }

    /// The installed one and the others.
    ///
    /// One that is missing is in the list too, so that its tests fail instead of being left out.
    package static let all = [Self.installed] + Self.others

    func check() throws(ServerFailure) {
        if self.path.isEmpty {
            throw ServerFailure("There is no redis-server in PATH. These tests need one: apt-get install redis-server.")
        }
        guard FileManager.default.isExecutableFile(atPath: self.path) else {
            throw ServerFailure("There is no program at \(self.path), which is to be \(self.description).")
        }
    }
}

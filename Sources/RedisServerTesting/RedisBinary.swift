import Foundation

/// A server program.
package struct RedisBinary: Sendable, Hashable, CustomStringConvertible {
    /// What to call it in a test's name.
    package let description: String
    /// Where it is.
    package let path: String

    /// The `redis-server` that is found in `PATH`.
    ///
    /// - Throws: ``ServerFailure`` with a sentence that says what to install.
    package static func installed() throws -> RedisBinary {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        for directory in path.split(separator: ":") {
            let candidate = "\(directory)/redis-server"
            if FileManager.default.isExecutableFile(atPath: candidate) {
                return RedisBinary(description: "redis-server", path: candidate)
            }
        }
        throw ServerFailure("There is no redis-server in PATH. These tests need one: apt-get install redis-server.")
    }

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

    /// The installed one, if it is, and the others.
    ///
    /// A server that is missing in `PATH` is in the list too, so that its tests fail instead of being left out.
    package static let all: [RedisBinary] =
        [(try? Self.installed()) ?? RedisBinary(description: "redis-server", path: "/redis-server-is-not-in-PATH")]
        + Self.others
}

@testable import IdemptxCommand
@testable import RESP3

/// The password in the URL of a store is neither shown nor part of an error, however the URL is malformed.
struct StoreURLCheck {
    private static let password = "correct-horse"
    private static let schemes = [
        "redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "redis+unix", "postgres", "postgresql",
    ]

    /// Reads a byte that chooses the scheme, the user, what else is in the password, and what follows it; each on a line.
    func check(_ input: [UInt8]) throws {
        let lines = input.dropFirst().split(
            separator: UInt8(ascii: "\n"), maxSplits: 2, omittingEmptySubsequences: false
        ).map { String(decoding: $0, as: UTF8.self) }
        guard let choice = input.first, lines.count == 3 else { return }
        let scheme = Self.schemes[Int(choice) % Self.schemes.count]
        let url = "\(scheme)://\(lines[0]):\(Self.password)\(lines[1])@\(lines[2])"
        if let location = StoreLocation(setting: url) {
            try Violation.unless(!location.shown.text.utf8.contains(Self.password.utf8), "The password is shown")
        }
        do {
            _ = try RedisEndpoint(url: url)
        } catch {
            try Violation.unless(!"\(error)".utf8.contains(Self.password.utf8), "The password is in an error")
        }
    }
}

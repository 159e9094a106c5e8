@testable import IdemptxCommand
@testable import RESP3

/// The password in the URL of a store is not shown, however the URL is malformed; that of Redis is no part of an error,
/// either.
struct StoreURLCheck {
    private static let password = "correct-horse"
    private static let schemes = [
        "redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "redis+unix", "postgres", "postgresql",
    ]
    private static let options = ["password", "sentinel_password", "sslpassword", "Password"]

    var shown: @Sendable (String) -> String? = { StoreLocation(setting: $0)?.shown.text }

    /// Reads a byte that chooses the scheme and where the password stands, and three lines that stand around it.
    func check(_ input: [UInt8]) throws {
        let lines = input.dropFirst().split(
            separator: UInt8(ascii: "\n"), maxSplits: 2, omittingEmptySubsequences: false
        ).map { String(decoding: $0, as: UTF8.self) }
        guard let choice = input.first, lines.count == 3 else { return }
        let scheme = Self.schemes[Int(choice) % Self.schemes.count]
        let option = Self.options[Int(choice) / 64]
        try self.check("\(scheme)://\(lines[0]):\(Self.password)\(lines[1])@\(lines[2])")
        try self.check("\(scheme)://\(lines[0])?\(option)=\(Self.password)\(lines[1])&\(lines[2])")
        try self.check("\(scheme)://\(lines[0])&\(option)=\(Self.password)\(lines[1])#\(lines[2])")
    }

    private func check(_ url: String) throws {
        if let shown = self.shown(url) { try Self.check(shown, "The password is shown") }
        do {
            try Self.check("\(try RedisEndpoint(url: url))", "The password is in a description")
        } catch let error as InvalidRedisURL {
            try Self.check("\(error)", "The password is in an error")
        }
    }

    private static func check(_ text: String, _ description: String) throws(Violation) {
        try Violation.unless(!text.utf8.contains(self.password.utf8), description)
    }
}

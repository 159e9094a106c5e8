import Foundation
import Testing

@Suite("idemptx explains itself")
struct HelpTests {
    private let directory: CommandProcess.Directory

    init() throws {
        self.directory = try CommandProcess.Directory()
    }

    private func output(_ arguments: String...) async throws -> String {
        let process = try CommandProcess(arguments, in: self.directory)
        #expect(try await process.exitStatus() == 0)
        #expect(process.errorText.isEmpty)
        return process.outputText
    }

    @Test("by its version")
    func version() async throws {
        #expect(try await self.output("--version").wholeMatch(of: /\d+\.\d+\.\d+\n/) != nil)
    }

    static let options = [
        "upstream", "host", "port", "store", "methods", "require-key", "key-ttl", "lease", "wait-timeout",
        "scope-header",
        "max-request-body", "max-response-body", "replay-policy", "on-abandoned", "on-store-failure", "mode",
        "upstream-timeout", "admin-port", "config", "print-config", "tls-cert", "tls-key", "tls-min-version",
        "max-run-time",
        "upstream-idle-timeout", "max-upstream-connections", "release-statuses", "fingerprint-ignore", "redis-replicas",
    ]

    @Test("by the options that scripts depend on")
    func options() async throws {
        let help = try await self.output("proxy", "--help")
        for option in Self.options { #expect(help.contains(try Regex("  --\(option)[ /\n]")), "\(option)") }
        let keys = try await self.output("keys", "--help")
        for command in ["list", "show", "release", "remove", "stats"] { #expect(keys.contains("\n  \(command) ")) }
        let store = try await self.output("store", "--help")
        for command in ["migrate", "migration"] { #expect(store.contains("\n  \(command) ")) }
    }

    @Test("to shells", arguments: ["bash", "zsh", "fish"])
    func completions(shell: String) async throws {
        let script = try await self.output("--generate-completion-script", shell)
        #expect(script.contains("wait-timeout"))
        guard shell == "bash" else { return }
        let file = URL(filePath: self.directory.path).appending(path: "completions")
        try Data(script.utf8).write(to: file)
        let check = try CommandProcess(
            ["bash", "-n", file.path], of: URL(filePath: "/usr/bin/env"), in: self.directory)
        #expect(try await check.exitStatus() == 0)
    }
}

import Foundation
import RedisServerTesting
import TestSupport
import Testing

@Suite("The certificate of idemptx proxy", .timeLimit(.minutes(3)))
struct CertificateReloadTests {
    private let directory: CommandProcess.Directory

    init() throws {
        self.directory = try CommandProcess.Directory()
    }

    private func path(_ name: String) -> String { "\(self.directory.path)/\(name)" }

    private func install(_ pair: TestCertificates.Pair) throws {
        for (file, name) in [(pair.certificate, "server.pem"), (pair.key, "server.key")] {
            try Data(contentsOf: URL(filePath: file)).write(to: URL(filePath: self.path(name)), options: .atomic)
        }
    }

    private func serial(_ command: String) async throws -> String {
        let process = try CommandProcess(
            ["-c", "\(command) | openssl x509 -noout -serial"], of: URL(filePath: "/bin/sh"), in: self.directory)
        #expect(try await process.exitStatus() == 0)
        return process.outputText
    }

    @Test("is read again when its files change and on SIGHUP, and one that cannot be used leaves the old one")
    func reload() async throws {
        try await TestCertificates.with { old in
            try await TestCertificates.with { new in
                try self.install(old.server)
                let proxy = try await Proxy.start(
                    for: LocalServer(port: 9), ["--tls-cert", "server.pem", "--tls-key", "server.key"],
                    in: self.directory)
                func served() async throws -> String {
                    try await self.serial(
                        "openssl s_client -connect 127.0.0.1:\(proxy.server.port) </dev/null 2>/dev/null")
                }
                #expect(try await served() == self.serial("cat \(old.server.certificate)"))

                try self.install(new.server)
                let expected = try await self.serial("cat \(new.server.certificate)")
                try await eventually("The new certificate is served") { try await served() == expected }

                try Data("nothing".utf8).write(to: URL(filePath: self.path("server.pem")))
                try await eventually("The log says why it stays") {
                    proxy.process.errorText.contains(
                        "The certificate stays as it is: The certificate server.pem cannot be read")
                }
                #expect(try await served() == expected)

                try self.install(new.server)
                let readings = proxy.process.errorText.split(separator: "The certificate has been read again").count
                try await eventually("The repaired file is read") {
                    proxy.process.errorText.split(separator: "The certificate has been read again").count > readings
                }
                // Nothing changes any more: only the signal can have it read.
                proxy.process.signal(SIGHUP)
                try await eventually("The signal has it read") {
                    proxy.process.errorText.split(separator: "The certificate has been read again").count > readings + 1
                }
                #expect(try await served() == expected)
            }
        }
    }
}

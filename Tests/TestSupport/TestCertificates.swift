import Foundation

/// An authority, and certificates signed by it, made by `openssl`.
package struct TestCertificates: Sendable {
    /// Two PEM files that belong together.
    package struct Pair: Sendable {
        /// The path of the certificate.
        package let certificate: String
        /// The path of the private key.
        package let key: String
    }

    /// The path of the authority's certificate.
    package let authority: String
    /// For a server of the names that were asked for.
    package let server: Pair
    /// For a client.
    package let client: Pair

    private let directory: URL

    /// Makes an authority and two certificates, which exist while `body` runs.
    @discardableResult
    package static func with<Value>(
        serverNames: String = "DNS:localhost,IP:127.0.0.1", areRSA: Bool = false,
        _ body: (TestCertificates) async throws -> Value
    ) async throws -> Value {
        let certificates = try await TestCertificates(serverNames, areRSA: areRSA)
        defer { try? FileManager.default.removeItem(at: certificates.directory) }
        return try await body(certificates)
    }

    private init(_ serverNames: String, areRSA: Bool) async throws {
        let name = "certificates-\(UInt32.random(in: 0...UInt32.max))"
        let directory = FileManager.default.temporaryDirectory.appending(path: name)
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false)
        self.directory = directory
        self.authority = directory.appending(path: "ca.pem").path
        self.server = Self.pair("server", directory)
        self.client = Self.pair("client", directory)
        let kind = areRSA ? ["rsa:2048"] : ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        try await Self.openssl(
            directory, Self.newKey("ca", kind) + ["-out", "ca.pem", "-addext", "basicConstraints=critical,CA:TRUE"])
        try await Self.sign("server", "subjectAltName=\(serverNames)", kind, directory)
        try await Self.sign("client", "extendedKeyUsage=clientAuth", kind, directory)
    }

    private static func pair(_ name: String, _ directory: URL) -> Pair {
        Pair(
            certificate: directory.appending(path: "\(name).pem").path,
            key: directory.appending(path: "\(name).key").path)
    }

    private static func newKey(_ name: String, _ kind: [String]) -> [String] {
        ["req", "-x509", "-newkey"] + kind + ["-nodes", "-days", "1", "-subj", "/CN=\(name)", "-keyout", "\(name).key"]
    }

    private static func sign(_ name: String, _ addition: String, _ kind: [String], _ directory: URL) async throws {
        try await Self.openssl(
            directory,
            Self.newKey(name, kind) + [
                "-CA", "ca.pem", "-CAkey", "ca.key", "-addext", addition, "-addext", "basicConstraints=CA:FALSE",
                "-out", "\(name).pem",
            ])
    }

    private static func openssl(_ directory: URL, _ arguments: [String]) async throws {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["openssl"] + arguments
        process.currentDirectoryURL = directory
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        // Waiting for it would block a thread that all tasks share.
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            process.terminationHandler = { _ in continuation.resume() }
            do {
                try process.run()
            } catch {
                continuation.resume(throwing: error)
            }
        }
        guard process.terminationStatus == 0 else {
            throw ServerFailure("These tests need openssl 3; `openssl \(arguments.joined(separator: " "))` failed.")
        }
    }
}

import Foundation
import HTTPTestSupport
import Idemptx
import IdemptxProxy
import NIOCore
import NIOHPACK
import NIOHTTP2
import NIOSSL
import RedisServerTesting
import TestSupport
import Testing

@Suite("HTTPS")
struct SecureTests {
    private static func with(
        script: @escaping TestUpstream.Script = TestUpstream.responding { .response(body: $0.start) },
        configure change: Change = Change { _ in },
        areRSA: Bool = false,
        _ body: (TestProxy, TestCertificates) async throws -> Void
    ) async throws {
        try await TestCertificates.with(areRSA: areRSA) { certificates in
            let configure = Change {
                $0.certificate = ServerCertificate(
                    chainPath: certificates.server.certificate, keyPath: certificates.server.key)
                try change.apply(&$0)
            }
            try await TestProxy.with(script: script, configure: configure) { try await body($0, certificates) }
        }
    }

    @Test("over HTTP/2 guards as over HTTP/1.1, with a length or without one", arguments: [true, false])
    func guarded(hasLength: Bool) async throws {
        try await Self.with { proxy, certificates in
            try await HTTP2Client.with(port: proxy.port, authority: certificates.authority) { client async throws in
                let fields = [("idempotency-key", "k-1")] + (hasLength ? [("content-length", "3")] : [])
                let first = try await client.send(.head("POST", "/", fields), body: "abc")
                #expect(first.status == "200")
                #expect(first.head?.first(name: "x-idempotency-status") == "new")
                let retry = try await client.send(.head("POST", "/", fields), body: "abc")
                #expect(retry.head?.first(name: "idempotent-replayed") == "true")
                #expect(retry.body == first.body)
                #expect(try await client.send(.head("POST", "/", fields), body: "abd").status == "422")
            }
            #expect(proxy.upstream.request?.text == "abc")
            #expect(proxy.upstream.request?["Content-Length"] == ["3"])
        }
    }

    @Test("needs a certificate and a key that belong together")
    func unusableCertificate() async throws {
        try await TestCertificates.with { certificates in
            for (chain, key) in [
                (certificates.server.certificate, certificates.client.key), ("/nowhere", certificates.server.key),
                (certificates.server.certificate, "/nowhere"), (certificates.server.key, certificates.server.key),
            ] {
                let configuration = ProxyConfiguration(upstream: try Upstream("http://localhost")) {
                    $0.certificate = ServerCertificate(chainPath: chain, keyPath: key)
                }
                #expect(throws: InvalidProxyConfiguration.self) {
                    try ReverseProxy(configuration: configuration, store: MemoryStore(), logger: .silent)
                }
            }
        }
    }

    @Test("is spoken with the certificate that is in the files now, once they have been read again")
    func reloaded() async throws {
        try await TestCertificates.with { first in
            try await TestCertificates.with { second in
                let files = try TemporaryFiles(first.server)
                let configure = Change { $0.certificate = files.certificate }
                try await TestProxy.with(configure: configure) { proxy in
                    try await HTTP2Client.with(port: proxy.port, authority: first.authority) { client async throws in
                        #expect(try await client.send(.head("GET", "/")).status == "200")
                        try files.replace(by: second.server)
                        try proxy.proxy.reloadCertificate()
                        // A connection goes on as it began.
                        #expect(try await client.send(.head("GET", "/")).status == "200")
                    }
                    try await HTTP2Client.with(port: proxy.port, authority: second.authority) { client async throws in
                        #expect(try await client.send(.head("GET", "/")).status == "200")
                    }
                    try files.spoil()
                    #expect(throws: InvalidProxyConfiguration.self) { try proxy.proxy.reloadCertificate() }
                    try await HTTP2Client.with(port: proxy.port, authority: second.authority) { client async throws in
                        #expect(try await client.send(.head("GET", "/")).status == "200")
                    }
                }
            }
        }
    }

    @Test(
        "is spoken in no version of TLS that is too old",
        arguments: [
            (ProxyConfiguration.TLSVersion.tls12, TLSVersion.tlsv11, false), (.tls12, .tlsv12, true),
            (.tls13, .tlsv12, false), (.tls13, .tlsv13, true),
        ])
    func versions(_ minimum: ProxyConfiguration.TLSVersion, _ spoken: TLSVersion, isAccepted: Bool) async throws {
        try await Self.with(configure: Change { $0.minimumTLSVersion = minimum }) { proxy, certificates in
            let status = try await Self.status(of: proxy, certificates) {
                $0.minimumTLSVersion = .tlsv1
                $0.maximumTLSVersion = spoken
            }
            #expect((status == 200) == isAccepted)
        }
    }

    @Test(
        "accepts over TLS 1.2 only suites with forward secrecy",
        arguments: [("ECDHE-RSA-AES128-GCM-SHA256", true), ("AES128-GCM-SHA256", false)])
    func suites(suite: String, isAccepted: Bool) async throws {
        try await Self.with(areRSA: true) { proxy, certificates in
            let status = try await Self.status(of: proxy, certificates) {
                $0.maximumTLSVersion = .tlsv12
                $0.cipherSuites = suite
            }
            #expect((status == 200) == isAccepted)
        }
    }

    /// The status of a response to a client of this kind; `nil` if it cannot connect.
    private static func status(
        of proxy: TestProxy, _ certificates: TestCertificates, _ change: (inout TLSConfiguration) -> Void
    ) async throws -> Int? {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.trustRoots = .file(certificates.authority)
        change(&configuration)
        let tls = try NIOSSLContext(configuration: configuration)
        let response = try? await RawConnection.open(port: proxy.port) { channel in
            try channel.pipeline.syncOperations.addHandler(
                NIOSSLClientHandler(context: tls, serverHostname: "localhost"))
        } _: { connection async throws in
            try await connection.send("GET /")
        }
        return response?.status
    }
}

/// The files of a certificate that change.
private final class TemporaryFiles: Sendable {
    private let directory: URL

    init(_ certificate: TestCertificates.Pair) throws {
        self.directory = FileManager.default.temporaryDirectory.appending(path: "certificate-\(UUID())")
        try FileManager.default.createDirectory(at: self.directory, withIntermediateDirectories: true)
        try self.replace(by: certificate)
    }

    deinit {
        try? FileManager.default.removeItem(at: self.directory)
    }

    private var chain: URL { self.directory.appending(path: "chain.pem") }
    private var key: URL { self.directory.appending(path: "key.pem") }

    var certificate: ServerCertificate { ServerCertificate(chainPath: self.chain.path, keyPath: self.key.path) }

    func replace(by certificate: TestCertificates.Pair) throws {
        try Data(contentsOf: URL(filePath: certificate.certificate)).write(to: self.chain)
        try Data(contentsOf: URL(filePath: certificate.key)).write(to: self.key)
    }

    func spoil() throws {
        try Data("no certificate".utf8).write(to: self.chain)
    }
}

import HTTPTestSupport
import Idemptx
import IdemptxProxy
import NIOSSL
import RedisServerTesting
import TestSupport
import Testing

@Suite("HTTPS to the upstream")
struct SecureUpstreamTests {
    private enum Trust: CaseIterable {
        case authority
        case otherAuthority
        case system
        case insecure
    }

    @Test("is spoken to an upstream whose certificate is believed; to another, nothing is said", arguments: 0..<4)
    private func upstream(number: Int) async throws {
        let trust = Trust.allCases[number]
        try await TestCertificates.with { certificates in
            let chain = try NIOSSLCertificate.fromPEMFile(certificates.server.certificate).map {
                NIOSSLCertificateSource.certificate($0)
            }
            let tls = try NIOSSLContext(
                configuration: .makeServerConfiguration(
                    certificateChain: chain,
                    privateKey: .privateKey(try NIOSSLPrivateKey(file: certificates.server.key, format: .pem))))
            let script = TestUpstream.responding { _ in .response(body: "done") }
            try await TestUpstream.with(tls: tls, script: script) { upstream in
                let believed: Upstream.Trust =
                    switch trust {
                    case .authority: .authority(path: certificates.authority)
                    case .otherAuthority: .authority(path: certificates.client.certificate)
                    case .system: .system
                    case .insecure: .insecure
                    }
                let port = try #require(upstream.port)
                let configuration = ProxyConfiguration(
                    upstream: try Upstream("https://localhost:\(port)", trust: believed))
                try await TestProxy.run(configuration, in: upstream) { proxy in
                    let response = try await proxy.pay()
                    if trust == .authority || trust == .insecure {
                        #expect(response.text == "done")
                    } else {
                        #expect(response.status == 502)
                        #expect(try response.problem == "upstream-unreachable")
                        #expect(upstream.requests.isEmpty)
                    }
                }
            }
        }
    }

    @Test("needs an authority that can be read")
    func unreadableAuthority() throws {
        let upstream = try Upstream("https://localhost", trust: .authority(path: "/nowhere"))
        #expect(throws: InvalidProxyConfiguration.self) {
            try ReverseProxy(
                configuration: ProxyConfiguration(upstream: upstream), store: MemoryStore(), logger: .silent)
        }
    }
}

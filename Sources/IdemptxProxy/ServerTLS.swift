import NIOHTTP2
import NIOSSL
import Synchronization

/// What the proxy speaks HTTPS with; its certificate may change.
final class ServerTLS: Sendable {
    private let certificate: ServerCertificate
    private let minimumVersion: TLSVersion
    private let current: Mutex<NIOSSLContext>

    init(
        _ certificate: ServerCertificate, minimumVersion: ProxyConfiguration.TLSVersion
    ) throws(InvalidProxyConfiguration) {
        self.certificate = certificate
        self.minimumVersion = minimumVersion == .tls13 ? .tlsv13 : .tlsv12
        self.current = Mutex(try Self.context(certificate, minimumVersion: self.minimumVersion))
    }

    /// For the next connection.
    var context: NIOSSLContext { self.current.withLock { $0 } }

    func reload() throws(InvalidProxyConfiguration) {
        let context = try Self.context(self.certificate, minimumVersion: self.minimumVersion)
        self.current.withLock { $0 = context }
    }

    private static func context(
        _ certificate: ServerCertificate, minimumVersion: TLSVersion
    ) throws(InvalidProxyConfiguration) -> NIOSSLContext {
        let chain = try self.read("certificate", certificate.chainPath) { try NIOSSLCertificate.fromPEMFile($0) }
        let key = try self.read("key", certificate.keyPath) { try NIOSSLPrivateKey(file: $0, format: .pem) }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        configuration.applicationProtocols = NIOHTTP2SupportedALPNProtocols
        configuration.minimumTLSVersion = minimumVersion
        // Of TLS 1.2, only what keeps the secret when the key is lost later.
        configuration.cipherSuites = "ECDHE+AESGCM:ECDHE+CHACHA20"
        do {
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw InvalidProxyConfiguration(
                "The certificate \(certificate.chainPath) and the key \(certificate.keyPath) cannot be used together.")
        }
    }

    private static func read<Value>(
        _ what: String, _ path: String, _ read: (String) throws -> Value
    ) throws(InvalidProxyConfiguration) -> Value {
        do {
            return try read(path)
        } catch {
            throw InvalidProxyConfiguration("The \(what) \(path) cannot be read: it is missing, or not in PEM format.")
        }
    }
}

/// What the proxy proves its name with, so that clients can speak HTTPS to it.
public struct ServerCertificate: Hashable, Sendable {
    /// The file of the certificate and of those that signed it, in PEM format, its own first.
    public var chainPath: String

    /// The file of the private key, in PEM format, without a password.
    public var keyPath: String

    /// Creates a certificate.
    ///
    /// - Parameters:
    ///   - chainPath: The file of the certificate and of those that signed it, in PEM format, its own first.
    ///   - keyPath: The file of the private key, in PEM format, without a password.
    public init(chainPath: String, keyPath: String) {
        self.chainPath = chainPath
        self.keyPath = keyPath
    }
}

package import TestSupport

/// How a server is set up.
package struct RedisServerOptions: Sendable {
    /// The program.
    package var binary: RedisBinary
    /// The password of the default user.
    package var password: String?
    /// More users, in the words of `ACL SETUSER`, such as `reader on >secret ~* +get`.
    package var users: [String] = []
    /// The certificates of another port, with TLS; no such port if `nil`.
    package var certificates: TestCertificates?
    /// Whether TLS needs a certificate of the client.
    package var requiresClientCertificate = false
    /// Whether what is written survives the death of the server.
    package var isDurable = false
    /// Other lines of the configuration, such as `maxmemory 3mb`.
    package var lines: [String] = []

    /// The defaults: no password, no TLS, nothing kept.
    package init(_ binary: RedisBinary = .installed) {
        self.binary = binary
    }
}

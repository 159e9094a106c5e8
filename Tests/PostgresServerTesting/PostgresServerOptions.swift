package import TestSupport

/// How a server is set up.
package struct PostgresServerOptions: Sendable {
    /// Other settings, such as `["lock_timeout": "1s"]`.
    package var settings: [String: String] = [:]
    /// The password of the user `postgres` for connections over TCP; none is asked for if `nil`.
    package var password: String?
    /// The certificates of TLS, without which the server does not speak it.
    package var certificates: TestCertificates?
    /// Whether connections over TCP have to use TLS.
    package var requiresTLS = false
    /// Whether what is committed survives the loss of power, and not only the death of the server.
    package var isDurable = false

    /// The defaults: no password, no TLS.
    package init() {}
}

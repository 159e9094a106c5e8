import NIOSSL

/// How a connection is encrypted, and whom it trusts.
package struct TLSSettings: Hashable, Sendable {
    /// Whose certificates are accepted.
    package enum Trust: Hashable, Sendable {
        /// Those that the operating system trusts.
        case system
        /// Those signed by an authority of this PEM file.
        case authority(path: String)
        /// Any at all: the connection is encrypted, but who is at the other end is not checked.
        case insecure
    }

    /// What this client proves itself with.
    package struct Identity: Hashable, Sendable {
        /// A PEM file with the certificate, followed by those that lead to its authority.
        package let certificatePath: String
        /// A PEM file with the private key.
        package let keyPath: String

        /// Creates an identity.
        package init(certificatePath: String, keyPath: String) {
            self.certificatePath = certificatePath
            self.keyPath = keyPath
        }
    }

    /// Whose certificates are accepted.
    package var trust: Trust
    /// What this client proves itself with, if the server wants to know.
    package var identity: Identity?
    /// The name that the server's certificate must bear, unless it bears the IP address that was connected to; `nil`
    /// is the host of the address.
    package var serverName: String?

    /// Creates settings; by default, the system's trust and no identity.
    package init(trust: Trust = .system, identity: Identity? = nil, serverName: String? = nil) {
        self.trust = trust
        self.identity = identity
        self.serverName = serverName
    }
}

extension TLSSettings {
    /// Reads the files.
    ///
    /// - Throws: ``RedisError/refused(_:)`` if one cannot be read or used.
    func makeContext() throws(RedisError) -> NIOSSLContext {
        do {
            return try NIOSSLContext(configuration: self.configuration())
        } catch {
            throw .refused("The certificates or the key for TLS cannot be used: \(error).")
        }
    }

    private func configuration() throws -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        switch self.trust {
        case .system: configuration.trustRoots = .default
        case .authority(let path): configuration.trustRoots = .file(path)
        case .insecure: configuration.certificateVerification = .none
        }
        if let identity = self.identity {
            configuration.certificateChain = try NIOSSLCertificate.fromPEMFile(identity.certificatePath)
                .map { .certificate($0) }
            configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: identity.keyPath, format: .pem))
        }
        return configuration
    }
}

import NIOCore
import NIOPosix
import NIOSSL

extension ConnectionEnd {
    /// Says what went wrong below the protocol.
    init(transportError error: any Error) {
        switch error {
        // Not a refusal: a proxy without a server behind it, or a server that stops, hangs up in the middle too.
        case NIOSSLError.handshakeFailed(.sslError([.eofDuringHandshake])),
            NIOSSLError.handshakeFailed(.sslError([.eofDuringAdditionalCertficiateChainValidation])),
            NIOSSLError.handshakeFailed(.syscallError), NIOSSLError.handshakeFailed(.zeroReturn):
            self = .lost("The server closed the connection during the TLS handshake.")
        case NIOSSLError.handshakeFailed, is NIOSSLExtraError:
            self = .refused("The TLS handshake failed: \(error).")
        case NIOSSLError.uncleanShutdown:
            self = .lost("The server closed the connection.")
        case let error as NIOConnectionError:
            let causes = error.connectionErrors.map { "\($0.error)" }
            let cause = causes.first ?? error.dnsAError.map { "\($0)" } ?? "no address"
            self = .lost("\(error.host):\(error.port) cannot be connected to: \(cause).")
        default:
            self = .lost("The connection failed: \(error).")
        }
    }
}

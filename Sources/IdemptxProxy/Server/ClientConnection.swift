import NIOCore

/// Where a request comes from.
struct ClientConnection: Sendable {
    let address: SocketAddress?
    let isHTTP2: Bool
}

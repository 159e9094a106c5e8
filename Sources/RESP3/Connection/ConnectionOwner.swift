import NIOCore

/// Who uses a connection and learns what becomes of it; an actor on the connection's event loop.
///
/// An attempt opens or ends. One that has opened ends later, or never. Nothing is told about it after its end.
protocol ConnectionOwner: Actor {
    /// The server has let this client in.
    func opened(_ channel: any Channel, to address: NodeAddress, attempt: Int)
    /// Something came that is not part of the handshake.
    func received(_ value: RESPValue, attempt: Int)
    /// Some bytes came, whether or not they complete anything.
    func receivedBytes(attempt: Int)
    /// The channel is writable again.
    func becameWritable(attempt: Int)
    /// The attempt has failed, or the connection is over.
    func ended(_ end: ConnectionEnd, attempt: Int)
}

extension ConnectionOwner {
    /// Nothing is concluded from it.
    func receivedBytes(attempt: Int) {}
}

import NIOCore

/// Makes connections that are ready for commands.
struct ConnectionFactory: Sendable {
    let source: any AddressSource
    let transport: Transport
    let handshake: Handshake.Settings
    let timeout: Duration
    let limits: RESPLimits

    /// Makes one attempt, whose outcome the owner is told.
    func connect(_ attempt: Int, for owner: any ConnectionOwner, on eventLoop: any EventLoop) async {
        do throws(RedisError) {
            let address = try await self.source.address()
            // The futures of one event loop call back on it, where the owner is.
            self.open(address, attempt, owner, eventLoop).whenFailure { error in
                owner.assumeIsolated { $0.ended(ConnectionEnd(transportError: error), attempt: attempt) }
            }
        } catch {
            await owner.ended(ConnectionEnd(error), attempt: attempt)
        }
    }

    private func open(
        _ address: NodeAddress, _ attempt: Int, _ owner: any ConnectionOwner, _ eventLoop: any EventLoop
    ) -> EventLoopFuture<Void> {
        let (limits, handshake, timeout) = (self.limits, self.handshake, self.timeout)
        return self.transport.open(address, eventLoop) { channel in
            let handler = ConnectionHandler(address: address, attempt: attempt, owner: owner, limits: limits)
            try channel.pipeline.syncOperations.addHandler(handler)
        }.flatMapThrowing { channel in
            let handler = try channel.pipeline.syncOperations.handler(type: ConnectionHandler.self)
            handler.start(Handshake(handshake), timeout: timeout)
        }
    }
}

import NIOCore

/// Decodes the bytes of a connection, does the handshake, and reports to the owner.
final class ConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum Phase {
        /// The channel is not connected yet, or another address of the host was connected first.
        case waiting
        case greeting(Handshake)
        case open
        case ended
    }

    private let processor: NIOSingleStepByteToMessageProcessor<RESPDecoder>
    private var phase = Phase.waiting
    private let address: NodeAddress
    private let attempt: Int
    private var owner: (any ConnectionOwner)?
    private var context: ChannelHandlerContext?
    private var timer: Scheduled<Void>?

    init(address: NodeAddress, attempt: Int, owner: any ConnectionOwner, limits: RESPLimits) {
        let decoder = RESPDecoder(limits: limits)
        self.processor = NIOSingleStepByteToMessageProcessor(decoder, maximumBufferSize: decoder.maximumBufferSize)
        self.address = address
        self.attempt = attempt
        self.owner = owner
    }

    /// Begins the handshake, which has to be over in time.
    func start(_ handshake: Handshake, timeout: Duration) {
        guard let context = self.context, context.channel.isActive else {
            return self.end(.lost("The server closed the connection."))
        }
        self.phase = .greeting(handshake)
        self.timer = context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(timeout)) {
            self.end(.lost("The server did not reply to the greeting in time."))
        }
        self.say(handshake.commands, context)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .open = self.phase { self.tell { $0.receivedBytes(attempt: $1) } }
        do {
            try self.processor.process(buffer: Self.unwrapInboundIn(data)) { self.received($0, context) }
        } catch let violation as ProtocolViolation {
            self.end(.violation(violation.sentence))
        } catch {
            self.end(.violation("A part of a reply is larger than the buffer."))
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.end(.lost("The server closed the connection."))
        context.fireChannelInactive()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { self.tell { $0.becameWritable(attempt: $1) } }
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.end(ConnectionEnd(transportError: error))
    }

    private func received(_ value: RESPValue, _ context: ChannelHandlerContext) {
        switch self.phase {
        case .open: self.tell { $0.received(value, attempt: $1) }
        case .greeting(var handshake):
            let outcome = handshake.received(value)
            self.phase = .greeting(handshake)
            self.goOn(outcome, handshake, context)
        case .waiting, .ended: break
        }
    }

    private func goOn(_ outcome: Handshake.Outcome, _ handshake: Handshake, _ context: ChannelHandlerContext) {
        switch outcome {
        case .pending: break
        case .goOn: self.say(handshake.commands, context)
        case .failed(let end): self.end(end)
        case .done:
            self.phase = .open
            self.timer?.cancel()
            let (channel, address) = (context.channel, self.address)
            self.tell { $0.opened(channel, to: address, attempt: $1) }
        }
    }

    private func say(_ commands: [RedisCommand], _ context: ChannelHandlerContext) {
        var buffer = context.channel.allocator.buffer(capacity: commands.reduce(0) { $0 + $1.encodedSize })
        for command in commands { command.write(to: &buffer) }
        context.writeAndFlush(Self.wrapOutboundOut(buffer), promise: nil)
    }

    /// Ends the connection, the first time it is called.
    private func end(_ end: ConnectionEnd) {
        switch self.phase {
        case .ended: return
        // Not the channel that was chosen; the attempt may still succeed by another.
        case .waiting: self.phase = .ended
        case .greeting, .open:
            self.phase = .ended
            self.timer?.cancel()
            self.tell { $0.ended(end, attempt: $1) }
        }
        self.owner = nil
        self.context?.close(promise: nil)
    }

    private func tell(_ event: @Sendable (isolated any ConnectionOwner, Int) -> Void) {
        guard let owner = self.owner else { return }
        let attempt = self.attempt
        owner.assumeIsolated { event($0, attempt) }
    }
}

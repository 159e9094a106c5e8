import NIOCore

/// Forwards a request that is not guarded, on the event loop that read it.
final class RequestForwarder: RequestProcess, UpstreamUser {
    private enum State {
        /// The start of the body is waited for: an upstream connection is not taken by those who send none.
        case collecting
        /// A connection is waited for.
        case waiting(ConnectionPool.Waiter?)
        case sending(UpstreamConnection)
        case done
    }

    /// How much of a body is kept until there is a connection.
    private static let bufferSize = 64 * 1024

    private let head: RequestHead
    private let client: any ClientStream
    private let loop: LoopState
    private var state = State.collecting
    private var framing: BodyFraming
    /// What has come of the body and was not sent, or may have to be sent again.
    private var body = ByteBuffer()
    private var bodySize = 0
    private var reservation: BodyReservation
    private var isComplete = false
    private var trailers: Trailers = []
    private var isBodySent = false
    private var isRetried = false
    private var hasResponse = false
    /// Whether the upstream has sent `100 Continue`.
    private var mayContinue = false
    private var isTunnel = false
    private var hasClientClosedItsSide = false

    init(_ head: RequestHead, from client: any ClientStream, on loop: LoopState) {
        self.head = head
        self.client = client
        self.loop = loop
        self.framing = head.body
        self.reservation = BodyReservation(in: loop.bodies)
    }

    var isWaitingForClient: Bool {
        guard !self.isComplete, !self.isTunnel else { return false }
        // A client that waits for leave to send is not the one who is waited for.
        return !self.head.expectsContinue || self.mayContinue || self.bodySize > 0
    }

    // MARK: From the client

    func start() {
        // A client that waits for `100 Continue` gets it from the upstream.
        if self.head.body == .none || self.head.expectsContinue { self.takeConnection(.any) }
    }

    func received(_ bytes: ByteBuffer) {
        self.bodySize += bytes.readableBytes
        if self.bodySize > self.loop.limits.maxBodySize ?? .max, !self.isTunnel {
            self.abandon()
            return self.client.refuse(.requestTooLarge)
        }
        switch self.state {
        case .collecting:
            guard self.keep(bytes) else { return }
            // While connections are scarce, only those get one who need it now.
            let isHeldBack = self.loop.pool.isTight && self.body.readableBytes < Self.bufferSize
            if !isHeldBack { self.takeConnection(.any) }
        case .waiting:
            guard self.keep(bytes) else { return }
            if self.body.readableBytes >= Self.bufferSize { self.client.holdReading(true) }
        case .sending(let connection):
            self.isBodySent = true
            self.body = ByteBuffer()
            self.reservation.clear()
            self.write(bytes, to: connection)
            if !connection.isWritable { self.client.holdReading(true) }
        case .done: break
        }
    }

    /// - Returns: Whether there is room for it; if not, the request is over.
    private func keep(_ bytes: ByteBuffer) -> Bool {
        guard self.reservation.add(bytes.readableBytes) else {
            self.abandon()
            self.client.refuse(.overloaded)
            return false
        }
        if self.body.readableBytes == 0 { self.body = bytes } else { self.body.writeImmutableBuffer(bytes) }
        return true
    }

    func requestEnded(_ trailers: Trailers) {
        self.isComplete = true
        self.trailers = trailers
        switch self.state {
        case .collecting:
            // An empty body is none.
            if self.bodySize == 0, trailers.isEmpty { self.framing = .none }
            self.takeConnection(.any)
        case .sending(let connection): self.endRequest(on: connection)
        case .waiting, .done: break
        }
    }

    func clientWritabilityChanged() {
        guard case .sending(let connection) = self.state else { return }
        connection.holdReading(!self.client.isWritable)
    }

    func clientClosedItsSide() {
        self.hasClientClosedItsSide = true
        guard self.isTunnel, case .sending(let connection) = self.state else { return }
        connection.closeOutput()
    }

    func clientLeft() {
        self.abandon()
    }

    private func abandon() {
        switch self.state {
        case .waiting(let waiter): waiter.map { self.loop.pool.cancel($0) }
        case .sending(let connection): connection.abandon()
        case .collecting, .done: break
        }
        self.state = .done
    }

    // MARK: To the upstream

    private func takeConnection(_ demand: ConnectionDemand) {
        self.state = .waiting(nil)
        let waiter = self.loop.pool.take(for: self, demand)
        if let waiter, case .waiting = self.state { self.state = .waiting(waiter) }
    }

    func connectionReady(_ connection: UpstreamConnection) {
        self.state = .sending(connection)
        let awaitsContinue = self.head.expectsContinue && self.bodySize == 0 && !self.isComplete
        connection.begin(
            self, isHead: self.head.method == "HEAD", isUpgradePermitted: self.head.upgrade != nil,
            awaitsContinue: awaitsContinue)
        connection.write { buffer in
            self.loop.requestWriter.write(
                self.head, from: self.client.address, framing: self.framing, awaitsContinue: awaitsContinue,
                upgrade: self.head.upgrade, to: &buffer)
        }
        if self.body.readableBytes > 0 { self.write(self.body, to: connection) }
        if self.isComplete { self.endRequest(on: connection) } else { self.client.holdReading(!connection.isWritable) }
    }

    func connectionUnavailable(_ failure: UpstreamFailure) {
        self.fail(failure)
    }

    private func write(_ bytes: ByteBuffer, to connection: UpstreamConnection) {
        guard self.framing == .chunked, !self.isTunnel else { return connection.write(bytes) }
        connection.write { $0.writeChunkStart(size: bytes.readableBytes) }
        connection.write(bytes)
        connection.write { $0.writeStaticString("\r\n") }
    }

    private func endRequest(on connection: UpstreamConnection) {
        if self.framing == .chunked {
            let trailers = self.loop.requestWriter.passed(self.trailers)
            connection.write { $0.writeLastChunk(trailers: trailers) }
        }
        connection.requestEnded()
    }

    func upstreamWritabilityChanged() {
        guard !self.isComplete || self.isTunnel, case .sending(let connection) = self.state else { return }
        self.client.holdReading(!connection.isWritable)
    }

    // MARK: From the upstream

    func received(_ head: ResponseHead) {
        if head.isInterim {
            self.mayContinue = self.mayContinue || head.status == 100
            return self.client.writeInterim(head)
        }
        // SwiftNIO's decoder has dropped what such a client sent for the new protocol.
        guard head.status != 101 || !self.hasClientClosedItsSide else {
            self.abandon()
            return self.client.refuse(.upstreamFailed)
        }
        self.hasResponse = true
        if case .sending(let connection) = self.state { self.loop.handler.upstreamResponded(after: connection.elapsed) }
        self.client.writeHead(head)
        guard head.status == 101 else { return }
        self.isTunnel = true
        self.client.startTunnel()
    }

    func receivedBody(_ bytes: ByteBuffer) {
        self.client.writeBody(bytes)
        guard !self.client.isWritable, case .sending(let connection) = self.state else { return }
        connection.holdReading(true)
    }

    func receivedEnd(_ trailers: Trailers) {
        self.state = .done
        self.client.writeEnd(self.loop.responseWriter.passed(trailers))
    }

    func upstreamFailed(_ failure: UpstreamFailure) {
        let isHarmless =
            failure.extent == .notSent || (failure.isStaleConnection && self.head.isIdempotent)
        // All that was sent is still here.
        if isHarmless, !self.hasResponse, !self.isRetried, !self.isBodySent {
            self.isRetried = true
            return self.takeConnection(.fresh)
        }
        self.fail(failure)
    }

    private func fail(_ failure: UpstreamFailure) {
        self.state = .done
        self.loop.report(failure)
        self.client.refuse(failure.problem)
    }
}

import NIOCore

/// A request of a handler on its way to the upstream and back.
final class HandledForward: UpstreamUser, Swept, Sendable {
    /// A class, because each event would copy all of these fields to read or change one.
    private final class State {
        let head: RequestHead
        let client: HandledProcess
        let body: ByteBuffer
        let changes: FieldChanges
        let timeout: TimeAmount?
        let loop: LoopState
        /// Until when the client waits for more of the response; `nil` if that is to be found out.
        var clientDeadline: NIODeadline?
        /// Whether the response waits for its reader.
        var isHeld = false
        /// Whether the client has been told that it takes too long.
        var isLate = false
        /// Waits for the head of the response.
        var continuation: CheckedContinuation<ForwardResult, Never>?
        var connection: UpstreamConnection?
        var waiter: ConnectionPool.Waiter?
        var response: BodyPipe?

        init(
            _ head: RequestHead, from client: HandledProcess, on loop: LoopState, body: ByteBuffer,
            changes: FieldChanges, timeout: TimeAmount?, continuation: CheckedContinuation<ForwardResult, Never>
        ) {
            self.head = head
            self.client = client
            self.loop = loop
            self.body = body
            self.changes = changes
            self.timeout = timeout
            self.continuation = continuation
        }

        func resume(returning result: ForwardResult) {
            let continuation = self.continuation
            self.continuation = nil
            continuation?.resume(returning: result)
        }
    }

    private let eventLoop: any EventLoop
    /// `nil` before the request begins, and after its end.
    private let state: NIOLoopBoundBox<State?>
    private let isAbandoned: NIOLoopBoundBox<Bool>

    init(on eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
        self.state = .makeEmptyBox(eventLoop: eventLoop)
        self.isAbandoned = .makeBoxSendingValue(false, eventLoop: eventLoop)
    }

    /// The client has left.
    func abandon() {
        self.eventLoop.execute {
            self.isAbandoned.value = true
            let state = self.state.value
            self.finish(
                UpstreamFailure(state?.connection == nil ? .notSent : .mayHaveBeenProcessed, "It was cancelled"))
            if let waiter = state?.waiter { state?.loop.pool.cancel(waiter) }
            state?.connection?.abandon()
        }
    }

    // MARK: On the event loop

    func begin(
        _ head: RequestHead, from client: HandledProcess, on loop: LoopState, body: ByteBuffer, changes: FieldChanges,
        demand: ConnectionDemand, timeout: TimeAmount?, _ continuation: CheckedContinuation<ForwardResult, Never>
    ) {
        guard !self.isAbandoned.value else {
            return continuation.resume(returning: .notSent(UpstreamFailure(.notSent, "It was cancelled")))
        }
        let state = State(
            head, from: client, on: loop, body: body, changes: changes, timeout: timeout, continuation: continuation)
        self.state.value = state
        state.waiter = loop.pool.take(for: self, demand)
    }

    func connectionReady(_ connection: UpstreamConnection) {
        guard let state = self.state.value else { return connection.giveBack() }
        state.connection = connection
        state.waiter = nil
        if state.timeout != nil { state.loop.clients.add(self) }
        let hasBody = state.body.readableBytes > 0
        // Fields behind a body need one whose end is seen.
        let trailers = state.loop.requestWriter.passed(state.client.trailers)
        let framing: BodyFraming =
            trailers.isEmpty ? (hasBody ? .length(state.body.readableBytes) : .none) : .chunked
        connection.begin(
            self, isHead: state.head.method == "HEAD", isUpgradePermitted: false, timeout: state.timeout)
        connection.write { buffer in
            state.loop.requestWriter.write(
                state.head, from: state.client.address, framing: framing, awaitsContinue: false, upgrade: nil,
                changes: state.changes, to: &buffer)
        }
        connection.sealHead()
        if framing == .chunked, hasBody { connection.write { $0.writeChunkStart(size: state.body.readableBytes) } }
        if hasBody { connection.write(state.body) }
        if framing == .chunked {
            if hasBody { connection.write { $0.writeStaticString("\r\n") } }
            connection.write { $0.writeLastChunk(trailers: trailers) }
        }
        connection.requestEnded()
    }

    func connectionUnavailable(_ failure: UpstreamFailure) {
        self.upstreamFailed(failure)
    }

    func received(_ head: ResponseHead) {
        guard let state = self.state.value else { return }
        guard !head.isInterim else { return state.client.writeInterim(head) }
        state.clientDeadline = nil
        state.connection.map { state.loop.handler.upstreamResponded(after: $0.elapsed) }
        let bound = NIOLoopBound(self, eventLoop: self.eventLoop)
        let eventLoop = self.eventLoop
        let body = BodyPipe { eventLoop.execute { bound.value.hold(false) } }
        let length: Int? =
            switch head.bodyFraming(isResponseToHead: state.head.method == "HEAD") {
            case .none: 0
            case .length(let length): length
            case .chunked, .untilClose: nil
            }
        state.response = body
        state.resume(returning: .response(UpstreamResponse(rawHead: head, body: body, length: length)))
    }

    func receivedBody(_ bytes: ByteBuffer) {
        guard let state = self.state.value, let response = state.response else { return }
        state.clientDeadline = nil
        if !response.write(bytes) { self.hold(true) }
    }

    private func hold(_ isHeld: Bool) {
        self.state.value?.isHeld = isHeld
        self.state.value?.connection?.holdReading(isHeld)
    }

    func receivedEnd(_ trailers: Trailers) {
        let state = self.state.value
        self.state.value = nil
        state?.loop.clients.remove(self)
        state?.response?.end(.success(state?.loop.responseWriter.passed(trailers) ?? trailers))
    }

    func upstreamFailed(_ failure: UpstreamFailure) {
        if let state = self.state.value, !(state.isLate && failure.isTimeout) { state.loop.report(failure) }
        self.finish(failure)
    }

    private func finish(_ failure: UpstreamFailure) {
        let state = self.state.value
        self.state.value = nil
        state?.loop.clients.remove(self)
        state?.response?.end(.failure(failure))
        switch failure.extent {
        case .notSent: state?.resume(returning: .notSent(failure))
        case .mayHaveBeenProcessed: state?.resume(returning: .mayHaveBeenProcessed(failure))
        }
    }

    func upstreamWritabilityChanged() {}

    // MARK: Time

    func sweep(now: NIODeadline) {
        guard let state = self.state.value, !state.isLate else { return }
        guard !state.isHeld, let deadline = state.clientDeadline else {
            state.clientDeadline = now + state.loop.timeouts.upstream
            return
        }
        guard deadline <= now else { return }
        state.isLate = true
        state.loop.report(UpstreamFailure(.mayHaveBeenProcessed, isTimeout: true, "No response in time"))
        state.client.upstreamIsLate()
    }

    func drain() {}

    func shutDown() {}
}

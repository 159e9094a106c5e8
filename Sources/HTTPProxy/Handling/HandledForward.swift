import NIOCore

/// A request of a handler on its way to the upstream and back.
final class HandledForward: UpstreamUser, Swept, Sendable {
    private struct State {
        var head: RequestHead
        var client: HandledProcess?
        var body: ByteBuffer
        var changes: FieldChanges
        var timeout: TimeAmount?
        /// Until when the client waits for more of the response; `nil` if that is to be found out.
        var clientDeadline: NIODeadline?
        /// Whether the response waits for its reader.
        var isHeld = false
        /// Whether that has passed.
        var isLate = false
        var continuation: CheckedContinuation<ForwardResult, Never>?
        var loop: LoopState
        var connection: UpstreamConnection?
        var waiter: ConnectionPool.Waiter?
        var response: BodyPipe?
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
        self.state.value = State(
            head: head, client: client, body: body, changes: changes, timeout: timeout, continuation: continuation,
            loop: loop)
        let waiter = loop.pool.take(for: self, demand)
        self.state.value?.waiter = waiter
    }

    func connectionReady(_ connection: UpstreamConnection) {
        guard let state = self.state.value, let client = state.client else { return connection.giveBack() }
        self.state.value?.connection = connection
        self.state.value?.waiter = nil
        if state.timeout != nil {
            state.loop.clients.add(self)
        }
        let hasBody = state.body.readableBytes > 0
        // Fields behind a body need one whose end is seen.
        let trailers = state.loop.requestWriter.passed(client.trailers)
        let framing: BodyFraming =
            trailers.isEmpty ? (hasBody ? .length(state.body.readableBytes) : .none) : .chunked
        connection.begin(
            self, isHead: state.head.method == "HEAD", isUpgradePermitted: false, timeout: state.timeout)
        connection.write { buffer in
            state.loop.requestWriter.write(
                state.head.withoutUpgrade, from: client.address,
                framing: framing, awaitsContinue: false, changes: state.changes, to: &buffer)
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
        guard !head.isInterim else { return state.client?.writeInterim(head) ?? () }
        self.state.value?.clientDeadline = nil
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
        self.state.value?.response = body
        self.state.value?.continuation = nil
        state.continuation?.resume(returning: .response(UpstreamResponse(rawHead: head, body: body, length: length)))
    }

    func receivedBody(_ bytes: ByteBuffer) {
        guard let response = self.state.value?.response else { return }
        self.state.value?.clientDeadline = nil
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
        case .notSent: state?.continuation?.resume(returning: .notSent(failure))
        case .mayHaveBeenProcessed: state?.continuation?.resume(returning: .mayHaveBeenProcessed(failure))
        }
    }

    func upstreamWritabilityChanged() {}

    // MARK: Time

    func sweep(now: NIODeadline) {
        guard let state = self.state.value, !state.isLate else { return }
        guard !state.isHeld, let deadline = state.clientDeadline else {
            self.state.value?.clientDeadline = now + state.loop.timeouts.upstream
            return
        }
        guard deadline <= now else { return }
        self.state.value?.isLate = true
        state.loop.report(UpstreamFailure(.mayHaveBeenProcessed, isTimeout: true, "No response in time"))
        state.client?.upstreamIsLate()
    }

    func drain() {}

    func shutDown() {}
}

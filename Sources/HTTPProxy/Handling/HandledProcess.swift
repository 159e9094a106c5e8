import HTTPTypes
import NIOCore

/// A request that the handler responds to, as the event loop sees it.
final class HandledProcess: RequestProcess {
    private let head: RequestHead
    let address: ClientAddress
    private let loop: LoopState
    /// `nil` once the client has left or the response has ended.
    private var client: (any ClientStream)?
    private let signals = ClientSignals()
    private var body: BodyPipe?
    private var bodySize = 0
    /// The handler may keep all of the body.
    private var reservation: BodyReservation
    private var isComplete = false
    private var isBodyWanted = false
    private(set) var trailers: Trailers = []
    private var room: EventLoopPromise<Void>?
    private var task: Task<Void, Never>?
    /// Goes on with a request that the handler gave back.
    private var forwarder: RequestForwarder?

    init(_ head: RequestHead, from client: any ClientStream, on loop: LoopState) {
        self.head = head
        self.address = client.address
        self.client = client
        self.loop = loop
        self.reservation = BodyReservation(in: loop.bodies)
    }

    var isWaitingForClient: Bool {
        if let forwarder { return forwarder.isWaitingForClient }
        return !self.isComplete && (self.isBodyWanted || !self.head.expectsContinue)
    }

    // MARK: The request

    func start() {
        let bound = NIOLoopBound(self, eventLoop: self.loop.eventLoop)
        let eventLoop = self.loop.eventLoop
        let body = BodyPipe(
            onRoom: { eventLoop.execute { bound.value.client?.holdReading(false) } },
            // Only who waits for leave to send it has to know.
            onReader: { [expectsContinue = self.head.expectsContinue] in
                if expectsContinue { eventLoop.execute { bound.value.bodyIsWanted() } }
            })
        self.body = body
        let request = HandledRequest(
            head: self.head, client: self.address.text, isSecure: self.address.isSecure, body: body,
            signals: self.signals, executor: self.loop.executor, process: bound)
        self.loop.running.add()
        self.task = Self.run(request, by: self.loop.handler, counting: self.loop.running, on: self.loop.executor)
    }

    /// Starts the one task, which outlives the client: what has begun ends.
    private static func run(
        _ request: HandledRequest, by handler: any RequestHandler, counting running: RunningCount,
        on executor: LoopExecutor
    ) -> Task<Void, Never> {
        let operation: @Sendable () async -> Void = {
            await Self.run(handler, request)
            running.remove()
        }
        return Task(executorPreference: executor, operation: operation)
    }

    private static func run(_ handler: any RequestHandler, _ request: HandledRequest) async {
        let process = request.process
        do {
            switch try await handler.handle(request) {
            case .response(let response): try await Self.respond(with: response, process)
            case .forward(let read): try await process.onLoop { $0.forward(read) }
            }
        } catch {
            try? await process.onLoop { $0.failed(error) }
        }
    }

    func cancel() { self.task?.cancel() }

    /// Forwards the request as if it had never been handled.
    private func forward(_ read: ByteBuffer) {
        let unread = self.body?.takeAll() ?? []
        guard let client = self.letGo() else { return }
        let forwarder = RequestForwarder(self.head, from: client, on: self.loop)
        self.forwarder = forwarder
        client.holdReading(false)
        forwarder.start()
        for chunk in [read] + unread where chunk.readableBytes > 0 { forwarder.received(chunk) }
        if self.isComplete { forwarder.requestEnded(self.trailers) }
    }

    private func bodyIsWanted() {
        guard !self.isBodyWanted else { return }
        self.isBodyWanted = true
        if self.head.expectsContinue, self.bodySize == 0, !self.isComplete {
            self.client?.writeInterim(HTTPResponse(status: .continue))
        }
    }

    func received(_ bytes: ByteBuffer) {
        if let forwarder { return forwarder.received(bytes) }
        self.bodySize += bytes.readableBytes
        guard self.bodySize <= self.loop.limits.maxBodySize ?? .max else { return self.refuse(.requestTooLarge) }
        guard self.reservation.add(bytes.readableBytes) else { return self.refuse(.overloaded) }
        if self.body?.write(bytes) == false { self.client?.holdReading(true) }
    }

    private func refuse(_ failure: ProxyFailure) {
        let client = self.client
        self.clientLeft()
        client?.refuse(failure)
    }

    func requestEnded(_ trailers: Trailers) {
        if let forwarder { return forwarder.requestEnded(trailers) }
        self.isComplete = true
        self.trailers = trailers
        self.body?.end(.success(trailers))
    }

    func clientWritabilityChanged() {
        if let forwarder { return forwarder.clientWritabilityChanged() }
        guard self.client?.isWritable ?? true else { return }
        self.room?.succeed()
        self.room = nil
    }

    func clientClosedItsSide() {
        if let forwarder { return forwarder.clientClosedItsSide() }
        self.signals.send(.closedItsSide)
    }

    func clientLeft() {
        if let forwarder { return forwarder.clientLeft() }
        self.client = nil
        self.signals.send(.left)
        self.body?.end(.failure(ClientLeft()))
        self.room?.fail(ClientLeft())
        self.room = nil
    }

    // MARK: The upstream

    func begin(
        _ forward: HandledForward, body: ByteBuffer, changes: FieldChanges, demand: ConnectionDemand,
        timeout: TimeAmount?, _ continuation: CheckedContinuation<ForwardResult, Never>
    ) {
        forward.begin(
            self.head, from: self, on: self.loop, body: body, changes: changes, demand: demand, timeout: timeout,
            continuation)
    }

    func writeInterim(_ head: ResponseHead) { self.client?.writeInterim(head) }

    /// The upstream has kept the client waiting for too long.
    ///
    /// The request goes on without it.
    func upstreamIsLate() {
        let client = self.client
        self.client = nil
        self.room?.fail(ClientLeft())
        self.room = nil
        client?.refuse(.upstreamTimeout)
    }

    // MARK: The response

    private static func respond(with response: HandledResponse, _ process: NIOLoopBound<HandledProcess>) async throws {
        switch response.body {
        case .bytes(let bytes): try await process.onLoop { $0.respond(response.head, bytes) }
        case .stream(let length, let write):
            try await process.onLoop { $0.client?.writeHead(response.head, length: length) }
            let trailers = try await write(ResponseWriter(process: process))
            try await process.onLoop { $0.end(trailers) }
        }
    }

    private func respond(_ head: HTTPResponse, _ bytes: ByteBuffer) {
        self.client?.writeHead(head, length: bytes.readableBytes)
        if bytes.readableBytes > 0 { self.client?.writeBody(bytes) }
        self.end([])
    }

    func write(_ bytes: ByteBuffer) -> EventLoopFuture<Void> {
        guard let client else { return self.loop.eventLoop.makeFailedFuture(ClientLeft()) }
        client.writeBody(bytes)
        guard !client.isWritable else { return self.loop.eventLoop.makeSucceededVoidFuture() }
        let room = self.room ?? self.loop.eventLoop.makePromise()
        self.room = room
        return room.futureResult
    }

    private func end(_ trailers: [HTTPField]) {
        self.letGo()?.writeEnd(trailers.map { ($0.name.rawName, $0.value) })
    }

    private func failed(_ error: any Error) {
        self.letGo()?.refuse(error as? ProxyFailure ?? .handlerFailed)
    }

    /// The handler has ended: what points here from it goes.
    ///
    /// - Returns: The client, if it is still there.
    private func letGo() -> (any ClientStream)? {
        defer {
            self.client = nil
            self.body = nil
            self.task = nil
        }
        self.signals.end()
        self.reservation.clear()
        return self.client
    }
}

extension NIOLoopBound<HandledProcess> {
    /// Calls `body` on the event loop: at once, where a task of the request already is.
    fileprivate func onLoop(_ body: @escaping @Sendable (HandledProcess) -> Void) async throws {
        guard !self.eventLoop.inEventLoop else { return body(self.value) }
        try await self.eventLoop.submit { body(self.value) }.get()
    }
}

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
    private var isComplete = false
    private var isBodyWanted = false
    private var room: EventLoopPromise<Void>?

    init(_ head: RequestHead, from client: any ClientStream, on loop: LoopState) {
        self.head = head
        self.address = client.address
        self.client = client
        self.loop = loop
    }

    var isWaitingForClient: Bool { !self.isComplete && (self.isBodyWanted || !self.head.expectsContinue) }

    // MARK: The request

    func start() {
        let bound = NIOLoopBound(self, eventLoop: self.loop.eventLoop)
        let eventLoop = self.loop.eventLoop
        let body = BodyPipe(
            onRoom: { eventLoop.execute { bound.value.client?.holdReading(false) } },
            onReader: { eventLoop.execute { bound.value.bodyIsWanted() } })
        self.body = body
        let request = HandledRequest(
            head: self.head, client: self.address.text, isSecure: self.address.isSecure, body: body,
            signals: self.signals, process: bound)
        self.loop.running.add()
        Self.run(request, by: self.loop.handler, counting: self.loop.running, on: self.loop.executor)
    }

    /// Starts the one task, which outlives the client: what has begun ends.
    private static func run(
        _ request: HandledRequest, by handler: any RequestHandler, counting running: RunningCount,
        on executor: LoopExecutor
    ) {
        let operation: @Sendable () async -> Void = {
            await Self.run(handler, request)
            running.remove()
        }
        Task(executorPreference: executor, operation: operation)
    }

    private static func run(_ handler: any RequestHandler, _ request: HandledRequest) async {
        let process = request.process
        do {
            try await Self.respond(with: try await handler.handle(request), process)
        } catch {
            try? await process.eventLoop.submit { process.value.failed(error) }.get()
        }
    }

    private func bodyIsWanted() {
        guard !self.isBodyWanted else { return }
        self.isBodyWanted = true
        if self.head.expectsContinue, self.bodySize == 0, !self.isComplete {
            self.client?.writeInterim(HTTPResponse(status: .continue))
        }
    }

    func received(_ bytes: ByteBuffer) {
        self.bodySize += bytes.readableBytes
        guard self.bodySize <= self.loop.limits.maxBodySize ?? .max else {
            let client = self.client
            self.clientLeft()
            client?.refuse(.requestTooLarge)
            return
        }
        if self.body?.write(bytes) == false { self.client?.holdReading(true) }
    }

    func requestEnded(_ trailers: Trailers) {
        self.isComplete = true
        self.body?.end(.success(trailers))
    }

    func clientWritabilityChanged() {
        guard self.client?.isWritable ?? true else { return }
        self.room?.succeed()
        self.room = nil
    }

    func clientClosedItsSide() { self.signals.send(.closedItsSide) }

    func clientLeft() {
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

    // MARK: The response

    private static func respond(with response: HandledResponse, _ process: NIOLoopBound<HandledProcess>) async throws {
        let eventLoop = process.eventLoop
        switch response.body {
        case .bytes(let bytes):
            try await eventLoop.submit { process.value.respond(response.head, bytes) }.get()
        case .stream(let length, let write):
            try await eventLoop.submit { process.value.client?.writeHead(response.head, length: length) }.get()
            let trailers = try await write(ResponseWriter(process: process))
            try await eventLoop.submit { process.value.end(trailers) }.get()
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
        let client = self.client
        self.client = nil
        self.signals.end()
        client?.writeEnd(trailers.map { ($0.name.rawName, $0.value) })
    }

    private func failed(_ error: any Error) {
        let client = self.client
        self.client = nil
        self.signals.end()
        client?.refuse(error as? ProxyFailure ?? .handlerFailed)
    }
}

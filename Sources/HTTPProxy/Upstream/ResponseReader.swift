import NIOCore

/// Reads the responses that come over one connection, one for each request.
struct ResponseReader {
    enum Event {
        /// An interim head, or the final one.
        case head(ResponseHead)
        case body(ByteBuffer)
        case end(Trailers)
        /// The protocol has changed: from here on, bytes pass unread.
        case tunnel(ByteBuffer)
    }

    private enum State {
        case idle
        case head
        case body(remaining: Int)
        case chunks(ChunkedDecoder)
        case untilClose
        case tunnel
    }

    private var state = State.idle
    private var headReader: ResponseHeadReader
    private var isResponseToHead = false
    private var isUpgradePermitted = false
    /// Whether the connection can be used for another request.
    private(set) var isPersistent = true

    init(maxHeadSize: Int, maxFieldCount: Int) {
        self.headReader = ResponseHeadReader(maxSize: maxHeadSize, maxCount: maxFieldCount)
    }

    /// A request is being sent.
    mutating func begin(isHead: Bool, isUpgradePermitted: Bool) {
        self.state = .head
        self.isResponseToHead = isHead
        self.isUpgradePermitted = isUpgradePermitted
    }

    /// What comes next; `nil` if more has to come.
    ///
    /// - Throws: ``MalformedMessage``, also for what comes without a request.
    mutating func next(from buffer: inout ByteBuffer) throws(MalformedMessage) -> Event? {
        switch self.state {
        case .idle:
            guard buffer.readableBytes == 0 else { throw MalformedMessage("A response to no request") }
            return nil
        case .head: return try self.nextHead(from: &buffer)
        case .body(let remaining):
            if remaining == 0 { return self.end() }
            guard let bytes = buffer.readSlice(length: min(remaining, buffer.readableBytes)), bytes.readableBytes > 0
            else { return nil }
            self.state = .body(remaining: remaining - bytes.readableBytes)
            return .body(bytes)
        case .chunks(var decoder):
            let event = try decoder.next(from: &buffer)
            self.state = .chunks(decoder)
            switch event {
            case .bytes(let bytes): return .body(bytes)
            case .end(let trailers): return self.end(trailers)
            case nil: return nil
            }
        case .untilClose, .tunnel:
            guard buffer.readableBytes > 0, let bytes = buffer.readSlice(length: buffer.readableBytes) else {
                return nil
            }
            if case .tunnel = self.state { return .tunnel(bytes) }
            return .body(bytes)
        }
    }

    private mutating func nextHead(from buffer: inout ByteBuffer) throws(MalformedMessage) -> Event? {
        guard let head = try self.headReader.read(from: &buffer) else { return nil }
        if head.status == 101 {
            guard self.isUpgradePermitted, !head.values(of: .upgrade).isEmpty else {
                throw MalformedMessage("A change of protocol that nobody asked for")
            }
            self.isPersistent = false
            self.state = .tunnel
            return .head(head)
        }
        guard !head.isInterim else { return .head(head) }
        self.isPersistent = self.isPersistent && head.isPersistent
        switch head.bodyFraming(isResponseToHead: self.isResponseToHead) {
        case .none: self.state = .body(remaining: 0)
        case .length(let length): self.state = .body(remaining: length)
        case .chunked: self.state = .chunks(ChunkedDecoder())
        case .untilClose:
            self.isPersistent = false
            self.state = .untilClose
        }
        return .head(head)
    }

    private mutating func end(_ trailers: Trailers = []) -> Event {
        self.state = .idle
        return .end(trailers)
    }

    /// The upstream has closed the connection.
    ///
    /// - Returns: The end of a response that ends so; `nil` if it is broken off.
    mutating func connectionEnded() -> Event? {
        switch self.state {
        case .untilClose, .tunnel: self.end()
        default: nil
        }
    }
}

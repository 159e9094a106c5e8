package import HTTPTypes
package import NIOCore

/// A request that the handler responds to.
package struct HandledRequest: Sendable {
    /// As it was sent.
    package let head: RequestHead
    /// The address of the client; `nil` if it has none.
    package let client: String?
    package let isSecure: Bool
    /// The body, as the client sends it.
    ///
    /// Reading it lets the client send it.
    package let body: BodyPipe
    /// What becomes of the client.
    package let signals: ClientSignals
    /// Runs tasks on the event loop that read the request.
    package let executor: any TaskExecutor
    let process: NIOLoopBound<HandledProcess>

    /// The head as the rest of the Swift world has it; `nil` if a field cannot be represented.
    ///
    /// Where a body has an end of its own, and no length, that is said as HTTP/1.1 would say it, also over HTTP/2.
    package var httpRequest: HTTPRequest? {
        guard let method = HTTPRequest.Method(self.head.method) else { return nil }
        var request = HTTPRequest(
            method: method, scheme: self.isSecure ? "https" : "http", authority: self.head.authority,
            path: self.head.target)
        request.headerFields.reserveCapacity(self.head.fields.count)
        for (name, value) in self.head.fields {
            guard let name = HTTPField.Name(name) else { return nil }
            request.headerFields.append(HTTPField(name: name, value: value.trimmed))
        }
        if self.head.version == .http2, self.head.body == .chunked {
            request.headerFields.append(HTTPField(name: .transferEncoding, value: "chunked"))
        }
        return request
    }

    /// Cancels the task of the handler.
    package func cancel() {
        let process = self.process
        process.eventLoop.execute { process.value.cancel() }
    }

    /// Sends the request to the upstream.
    ///
    /// If there is no response within the usual time for that, the client is told that it took too long; the response is
    /// waited for all the same, until `timeout`.
    ///
    /// - Parameters:
    ///   - body: All of the body.
    ///   - changes: What differs from the head that the client sent.
    ///   - demand: Which connection it may be sent over.
    ///   - timeout: How long the upstream may keep silent; `nil` for the usual time.
    /// - Returns: What came of it. If the task is cancelled, the request is broken off.
    package func forward(
        body: ByteBuffer,
        changes: FieldChanges = FieldChanges(),
        demand: ConnectionDemand = .seenAlive,
        timeout: Duration? = nil
    ) async -> ForwardResult {
        let (process, timeout) = (self.process, timeout.map { TimeAmount($0) })
        let eventLoop = process.eventLoop
        let forward = HandledForward(on: eventLoop)
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let begin = { @Sendable in
                    process.value.begin(
                        forward, body: body, changes: changes, demand: demand, timeout: timeout, continuation)
                }
                if eventLoop.inEventLoop { begin() } else { eventLoop.execute(begin) }
            }
        } onCancel: {
            forward.abandon()
        }
    }
}

/// What came of a request that was sent to the upstream.
package enum ForwardResult: Sendable {
    /// The upstream responded, with a head at least.
    case response(UpstreamResponse)
    /// Nothing of the request was sent: nothing ran.
    case notSent(UpstreamFailure)
    /// Some or all of it was sent, and there is no response: the outcome is unknown.
    case mayHaveBeenProcessed(UpstreamFailure)
}

/// The upstream's response to a handled request.
package struct UpstreamResponse: Sendable {
    /// As it was sent.
    package let rawHead: ResponseHead
    /// The body, and the trailers behind it.
    ///
    /// It fails with ``UpstreamFailure`` if it is broken off.
    package let body: BodyPipe
    /// The length of the body, if it is known.
    package let length: Int?

    /// Status and fields, without those of the connection.
    package var head: HTTPResponse {
        let raw = self.rawHead
        let reason = String(decoding: raw.bytes(raw.statusText).dropFirst(4), as: UTF8.self)
        var head = HTTPResponse(status: .init(code: raw.status, reasonPhrase: reason))
        let options = raw.connectionOptions
        for field in raw.fields where !field.kind.isHopByHop {
            let name = String(decoding: raw.name(of: field), as: UTF8.self)
            guard !options.contains(name.lowercased()), let name = HTTPField.Name(name) else { continue }
            head.headerFields.append(HTTPField(name: name, value: raw.value(of: field)))
        }
        return head
    }
}

extension HTTPFields {
    init(_ trailers: Trailers) {
        self.init()
        for (name, value) in trailers {
            guard let name = HTTPField.Name(name) else { continue }
            self.append(HTTPField(name: name, value: value))
        }
    }
}

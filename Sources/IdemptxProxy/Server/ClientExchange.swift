import HTTPTypes
import Synchronization

/// What the forwarding of a request may do to the connection that the request came over, before there is an answer.
final class ClientExchange: Sendable {
    private struct State {
        /// Whether the client waits for leave to send the body.
        var owesContinue: Bool
        var upload: RequestUpload?
    }

    let connection: ClientConnection
    let signals: ClientSignals
    private let interim: AsyncStream<HTTPResponse>.Continuation
    private let state: Mutex<State>

    /// - Parameters:
    ///   - connection: Where the request comes from.
    ///   - signals: What the connection tells about its client.
    ///   - expectsContinue: Whether the client waits for leave to send the body.
    ///   - interim: Takes interim answers for the client.
    init(
        connection: ClientConnection,
        signals: ClientSignals,
        expectsContinue: Bool,
        interim: AsyncStream<HTTPResponse>.Continuation
    ) {
        self.connection = connection
        self.signals = signals
        self.interim = interim
        self.state = Mutex(State(owesContinue: expectsContinue))
    }

    /// Whether the client waits for leave to send the body, and nobody has given it.
    var owesContinue: Bool { self.state.withLock { $0.owesContinue } }

    /// Passes an interim answer (1xx) on.
    func send(interim head: HTTPResponse) {
        self.interim.yield(head)
    }

    /// The body is about to be read: gives leave to send it, unless that is the upstream's to do.
    func bodyIsWanted() {
        let isOwed = self.state.withLock { state in
            defer { state.owesContinue = false }
            return state.owesContinue
        }
        if isOwed { self.send(interim: HTTPResponse(status: .continue)) }
    }

    /// From now on, the body is read as the upstream takes it, and leave to send it is the upstream's to give.
    func begin(_ upload: RequestUpload) {
        self.state.withLock { state in
            state.owesContinue = false
            state.upload = upload
        }
    }

    /// There will be no more interim answers.
    func endInterim() {
        self.interim.finish()
    }

    /// Waits until nobody reads the body any more.
    func stopUpload() async {
        await self.state.withLock { $0.upload }?.stop()
    }
}

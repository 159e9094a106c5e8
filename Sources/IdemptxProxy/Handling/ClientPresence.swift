import HTTPProxy
import Synchronization

/// Whether the client of a request is still there, as long as nothing runs for it: one that has left runs nothing.
///
/// One that sends nothing more may have left, or read on (RFC 9112, section 9.6). While it waits for another attempt, which
/// can take long, it counts as gone; once its operation has begun, that ends, whoever is there.
final class ClientPresence: Sendable {
    private enum Phase {
        case claiming
        case waiting
        case running
    }

    private struct State {
        var phase = Phase.claiming
        var signal: ClientSignals.Signal?

        var isGone: Bool {
            switch self.phase {
            case .claiming: self.signal == .left
            case .waiting: self.signal != nil
            case .running: false
            }
        }
    }

    private let request: HandledRequest
    private let state = Mutex(State())

    init(of request: HandledRequest) {
        self.request = request
    }

    /// Whether the client sends nothing more, but may still read.
    var hasClosedItsSide: Bool { self.state.withLock { $0.signal == .closedItsSide } }

    /// From now on, the request is cancelled when its client has gone.
    func observe() {
        self.request.signals.onSignal { signal in self.change { $0.signal = signal } }
    }

    func waitBegins() {
        self.change { $0.phase = .waiting }
    }

    func operationBegins() {
        self.change { $0.phase = .running }
    }

    private func change(_ change: (inout State) -> Void) {
        let isGone = self.state.withLock { state in
            change(&state)
            return state.isGone
        }
        if isGone { self.request.cancel() }
    }
}

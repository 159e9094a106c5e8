import HTTPProxy
import Synchronization

/// Writes down what came of requests that a handler sent.
final class Extents: Sendable {
    private let extents = Mutex<[UpstreamFailure.Extent]>([])

    var all: [UpstreamFailure.Extent] { self.extents.withLock { $0 } }

    var relaying: TestHandler.Handle {
        { request in
            switch await request.forward(body: try await request.collect()) {
            case .response(let response): return try await response.collected()
            case .notSent(let failure), .mayHaveBeenProcessed(let failure):
                self.extents.withLock { $0.append(failure.extent) }
                guard failure.extent == .mayHaveBeenProcessed else { throw ProxyFailure.upstreamUnreachable }
                throw failure.isTimeout ? ProxyFailure.upstreamTimeout : .upstreamFailed
            }
        }
    }
}

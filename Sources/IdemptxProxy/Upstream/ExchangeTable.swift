import Synchronization

/// The exchanges that are waiting for a connection.
///
/// AsyncHTTPClient takes a request apart and builds it anew. So it is handed a stand-in with a number, and the connection
/// that it picks looks here for what to send instead.
final class ExchangeTable: Sendable {
    private struct State {
        var lastNumber: UInt64 = 0
        var exchanges: [UInt64: UpstreamExchange] = [:]
    }

    private let state = Mutex(State())

    /// - Returns: The number under which the exchange is found.
    func add(_ exchange: UpstreamExchange) -> UInt64 {
        self.state.withLock { state in
            state.lastNumber += 1
            state.exchanges[state.lastNumber] = exchange
            return state.lastNumber
        }
    }

    /// Takes an exchange out, if it is still there.
    @discardableResult
    func remove(_ number: UInt64) -> UpstreamExchange? {
        self.state.withLock { $0.exchanges.removeValue(forKey: number) }
    }
}

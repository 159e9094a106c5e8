import Synchronization

@testable import RESP3

/// A server that is somewhere else each time, until it stays at the last place.
final class Relocation: AddressSource {
    private let places: Mutex<[NodeAddress]>

    init(_ places: [NodeAddress]) {
        self.places = Mutex(places)
    }

    func address() throws(RedisError) -> NodeAddress {
        let place = self.places.withLock { $0.count > 1 ? $0.removeFirst() : $0.first }
        guard let place else { throw .notSent("It is nowhere.") }
        return place
    }

    /// What connects to it.
    var factory: ConnectionFactory {
        get throws {
            ConnectionFactory(
                source: self, transport: try .sockets(tls: nil, timeout: .seconds(20)),
                handshake: Handshake.Settings(), timeout: .seconds(20), limits: RESPLimits())
        }
    }
}

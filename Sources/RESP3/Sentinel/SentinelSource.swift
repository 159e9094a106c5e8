import NIOCore
import Synchronization

/// Asks sentinels where the primary is.
///
/// The sentinel that replied last is asked first. Whether the server they name thinks of itself as the primary is for
/// the handshake to find out.
final class SentinelSource: AddressSource {
    private let sentinels: [(address: NodeAddress, connection: CommandConnection)]
    private let primary: String
    private let timeout: TimeAmount
    private let first = Atomic(0)

    /// - Parameters:
    ///   - sentinels: At least one.
    ///   - primary: The name under which they watch it.
    ///   - timeout: How long to wait for each of them.
    init(_ sentinels: [(address: NodeAddress, connection: CommandConnection)], primary: String, timeout: Duration) {
        self.sentinels = sentinels
        self.primary = primary
        self.timeout = TimeAmount(timeout)
    }

    deinit {
        for sentinel in self.sentinels { sentinel.connection.closeSoon() }
    }

    func address() async throws(RedisError) -> NodeAddress {
        let first = self.first.load(ordering: .relaxed)
        var failures: [RedisError] = []
        for offset in self.sentinels.indices {
            let index = (first + offset) % self.sentinels.count
            do throws(RedisError) {
                if let address = try await self.ask(self.sentinels[index].connection) {
                    self.first.store(index, ordering: .relaxed)
                    return address
                }
                failures.append(.refused("No sentinel watches a primary named \(self.primary)."))
            } catch {
                failures.append(error)
            }
        }
        guard let failure = failures.first(where: \.isRefusal) ?? failures.last else {
            throw .notSent("There is no sentinel.")
        }
        // One that does not reply now may know better.
        if failures.allSatisfy(\.isRefusal) { throw failure }
        throw .notSent("No sentinel that replies knows the primary. \(failure)")
    }

    /// Asks one sentinel, which is the first to be asked from now on.
    ///
    /// - Returns: `nil` if it does not know the primary.
    func address(accordingTo sentinel: NodeAddress) async throws(RedisError) -> NodeAddress? {
        guard let index = self.sentinels.firstIndex(where: { $0.address == sentinel }),
            let address = try await self.ask(self.sentinels[index].connection)
        else { return nil }
        self.first.store(index, ordering: .relaxed)
        return address
    }

    func close() async {
        for sentinel in self.sentinels { await sentinel.connection.close() }
    }

    private func ask(_ sentinel: CommandConnection) async throws(RedisError) -> NodeAddress? {
        let command: RedisCommand = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", RedisArgument(self.primary)]
        let reply = try await sentinel.send([command], deadline: .now() + self.timeout).first ?? .null
        if let error = reply.serverError { throw .server(error) }
        guard let parts = reply.elements, parts.count == 2, let host = parts[0].string, let port = parts[1].integer
        else { return nil }
        return .tcp(host: host, port: port)
    }
}

extension RedisError {
    fileprivate var isRefusal: Bool {
        if case .refused = self { true } else { false }
    }
}

/// The sentinels in turn: a new one for every attempt to connect.
final class SentinelRotation: AddressSource {
    private let sentinels: [NodeAddress]
    private let turn = Atomic(0)

    init(_ sentinels: [NodeAddress]) {
        self.sentinels = sentinels
    }

    func address() throws(RedisError) -> NodeAddress {
        guard !self.sentinels.isEmpty else { throw .notSent("There is no sentinel.") }
        let turn = self.turn.wrappingAdd(1, ordering: .relaxed).oldValue
        return self.sentinels[Int(UInt(bitPattern: turn) % UInt(self.sentinels.count))]
    }
}

/// Which servers to talk to, and how to be let in.
package struct RedisEndpoint: Hashable, Sendable {
    /// How the servers work together.
    package enum Topology: Hashable, Sendable {
        /// One server.
        case standalone(NodeAddress)
        /// A primary that these sentinels watch under a name.
        case sentinel([NodeAddress], primary: String)
        /// A cluster that some of these belong to.
        case cluster([NodeAddress])
    }

    /// How the servers work together.
    package var topology: Topology
    /// What to log in with, if the servers ask for it.
    package var credentials: Credentials?
    /// What to log in with at the sentinels.
    package var sentinelCredentials: Credentials?
    /// The number of the database; 0 in a cluster, which has no other.
    package var database: Int
    /// How to encrypt; `nil` is not at all.
    package var tls: TLSSettings?

    /// Creates an endpoint.
    package init(
        _ topology: Topology, credentials: Credentials? = nil, sentinelCredentials: Credentials? = nil,
        database: Int = 0, tls: TLSSettings? = nil
    ) {
        self.topology = topology
        self.credentials = credentials
        self.sentinelCredentials = sentinelCredentials
        self.database = database
        self.tls = tls
    }
}

extension RedisEndpoint: CustomStringConvertible {
    /// The kind and the addresses, without credentials.
    package var description: String {
        let (kind, place) =
            switch self.topology {
            case .standalone(.unixSocket(let path)): ("redis+unix", path)
            case .standalone(let address): (self.scheme(""), "\(address)")
            case .sentinel(let addresses, let primary): (self.scheme("+sentinel"), "\(Self.list(addresses))/\(primary)")
            case .cluster(let addresses): (self.scheme("+cluster"), Self.list(addresses))
            }
        return "\(kind)://\(place)"
    }

    private func scheme(_ suffix: String) -> String {
        self.tls == nil ? "redis\(suffix)" : "rediss\(suffix)"
    }

    private static func list(_ addresses: [NodeAddress]) -> String {
        addresses.map { "\($0)" }.joined(separator: ",")
    }
}

public import Idemptx
import RESP3

extension RedisStore {
    /// Creates a store over a client that connects on first use.
    ///
    /// | URL | |
    /// |---|---|
    /// | `redis://[user:password@]host[:port][/database]` | one server; `rediss://` with TLS |
    /// | `redis+sentinel://[user:password@]host[:port],…/name[/database]` | the primary that sentinels watch |
    /// | `redis+cluster://[user:password@]host[:port],…` | a cluster, by some of its servers |
    /// | `redis+unix:///path/to.sock[?db=n]` | a Unix socket |
    ///
    /// `rediss+sentinel://` and `rediss+cluster://` use TLS, with the options `tls_ca`, `tls_cert` and `tls_key` (paths
    /// of PEM files), `tls_server_name`, and `tls_insecure=true`. Sentinels that want a password get
    /// `sentinel_user` and `sentinel_password`. User and password are percent-decoded.
    ///
    /// - Parameters:
    ///   - url: Where the servers are, and what to log in with.
    ///   - connection: How to connect.
    ///   - configuration: How records are named, and what is demanded of the servers.
    /// - Throws: `StoreError` with code `misconfigured` if the URL, or a file that it names, cannot be used, or if replicas
    ///   may take longer to acknowledge a write than a command may take. The message holds no credential.
    public convenience init(
        url: String,
        connection: RedisConnectionConfiguration = RedisConnectionConfiguration(),
        configuration: RedisStoreConfiguration = RedisStoreConfiguration()
    ) throws(StoreError) {
        if let timeout = configuration.acknowledgement?.timeout, timeout >= connection.commandTimeout {
            throw StoreError(
                .misconfigured, "ReplicaAcknowledgement.timeout has to be shorter than the deadline of a command.")
        }
        let client: any RedisClient
        let name: String
        var isCluster = false
        do {
            var settings = RedisConfiguration(try RedisEndpoint(url: url))
            settings.commandTimeout = connection.commandTimeout
            settings.connectTimeout = connection.connectTimeout
            settings.connectionsPerNode = max(1, connection.connectionsPerServer)
            settings.clientName = connection.clientName
            if case .cluster = settings.endpoint.topology { isCluster = true }
            name = "\(settings.endpoint.topology) \(settings.endpoint.database) \(configuration.keyPrefix)"
            client = try settings.makeClient()
        } catch {
            throw StoreError(.misconfigured, "\(error)")
        }
        self.init(
            executor: RESP3Executor(client: client, isCluster: isCluster), configuration: configuration,
            identity: StoreIdentity(name: name), callTimeout: connection.commandTimeout)
    }
}

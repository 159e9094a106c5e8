public import Idemptx
import LibPQ

extension PostgresStore {
    /// Creates a store over a client that connects on first use: libpq, which is loaded now.
    ///
    /// | URL | |
    /// |---|---|
    /// | `postgres://[user[:password]@][host[:port]][,…][/database][?option=value&…]` | as libpq reads it |
    /// | `postgres:///database?host=/run/postgresql` | a Unix socket |
    /// | `postgres://primary,standby/orders?target_session_attrs=read-write` | the one that takes writes |
    ///
    /// Options, TLS among them (`sslmode=verify-full`, `sslrootcert`), are those of libpq. What the URL leaves out comes from where
    /// libpq always looks: the `PG…` environment, service and password files.
    ///
    /// - Parameters:
    ///   - url: Where the server is, and what to log in with.
    ///   - connection: How to connect.
    ///   - configuration: Where the records are, and how long calls take.
    /// - Throws: `StoreError` with code `misconfigured` if the URL cannot be used, or if libpq is not on this machine: the
    ///   message says what to install, and holds no credential.
    public convenience init(
        url: String,
        connection: PostgresConnectionConfiguration = PostgresConnectionConfiguration(),
        configuration: PostgresStoreConfiguration = PostgresStoreConfiguration()
    ) throws(StoreError) {
        var settings = PostgresConfiguration(url, applicationName: connection.applicationName)
        settings.maximumConnections = max(1, connection.connections)
        settings.connectTimeout = connection.connectTimeout
        settings.statementTimeout = configuration.callTimeout
        let client: PostgresClient
        do {
            client = try PostgresClient(settings)
        } catch {
            throw StoreError(.misconfigured, "\(error)", underlyingError: error)
        }
        self.init(
            executor: LibPQExecutor(client: client, listens: connection.listens), configuration: configuration,
            identity: StoreIdentity(name: "\(url) \(configuration.schema)"))
    }
}

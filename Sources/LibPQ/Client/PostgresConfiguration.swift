package import Logging

/// How a client behaves.
package struct PostgresConfiguration: Sendable {
    /// Where and how to connect, in libpq's own words: a URL such as `postgres://user@host/database?sslmode=verify-full`,
    /// or a string such as `host=a,b target_session_attrs=read-write service=orders`.
    ///
    /// What it leaves out comes from where libpq always looks: the `PG…` environment, the service file, the password file.
    package var conninfo: String

    /// How many connections there may be at most, besides the one that listens; they are made as they are needed.
    ///
    /// Transactions leave one of them to statements of their own, if there is more than one.
    package var maximumConnections = 8

    /// How many statements may be under way on one connection at a time, once no more connections can be made.
    ///
    /// One that is sent behind a slow one has to wait for it.
    package var maximumPipelineDepth = 8

    /// How long a statement may take, waiting for a connection included, unless a call says otherwise.
    package var statementTimeout: Duration = .seconds(5)

    /// How long it may take to connect to one host, unless the `connect_timeout` of libpq says otherwise.
    ///
    /// libpq counts whole seconds, and at least two.
    package var connectTimeout: Duration = .seconds(5)

    /// After which time a statement counts as slow: no other is sent behind it while there is another way.
    package var slowThreshold: Duration = .milliseconds(10)

    /// How long after its deadline a statement that has been sent may go on: then the server is asked to cancel it, and
    /// after the same time again its connection is closed, with all that was sent behind it.
    package var cancelGrace: Duration = .seconds(1)

    /// How long a connection may be idle before it is closed; the last one stays.
    package var idleTimeout: Duration = .seconds(60)

    /// How many statements may wait without having been sent.
    package var maximumPendingStatements = 1 << 16

    /// How many bytes the statements that wait may have.
    package var maximumPendingBytes = 64 << 20

    /// After how many failed attempts to connect in a row statements fail at once while there is no connection, instead
    /// of waiting for the next attempt.
    package var maximumConnectFailures = 5

    /// The pauses between attempts to connect.
    package var backoff = PostgresBackoff()

    /// How often a silent listening connection is pinged, and how long its reply may take.
    package var listenPingInterval: Duration = .seconds(10)

    /// How many events of one channel may wait for their reader.
    package var maximumPendingEvents = 1 << 10

    /// What the server shows this client as, unless `application_name` or `PGAPPNAME` says otherwise.
    package var applicationName: String

    /// Whether several statements may be under way on one connection, where libpq can (14 and later).
    package var usesPipelines = true

    /// Where libpq may be, tried in this order: names that the system resolves, and paths.
    package var libraryPaths = PostgresConfiguration.defaultLibraryPaths

    /// Where to report, at `debug` and `info`, what cannot be thrown.
    package var logger: Logger

    /// Creates the default configuration.
    ///
    /// - Parameters:
    ///   - conninfo: Where and how to connect; if empty, libpq's environment and defaults decide.
    ///   - applicationName: What the server shows this client as.
    ///   - logger: Where to report what cannot be thrown; the current one by default.
    package init(_ conninfo: String, applicationName: String = "", logger: Logger = .current) {
        self.conninfo = conninfo
        self.applicationName = applicationName
        self.logger = logger
    }
}

/// How long to pause before trying again: a random part of a ceiling that doubles with every failure in a row.
///
/// Full jitter: clients that failed together do not come back together.
package struct PostgresBackoff: Sendable {
    /// The ceiling after the first failure.
    package var base: Duration
    /// The ceiling that is never exceeded.
    package var maximum: Duration
    /// A number from 0 to 1; random except in tests.
    package var jitter: @Sendable () -> Double

    /// Creates a backoff; by default, from 50 ms to 1 s.
    package init(
        base: Duration = .milliseconds(50),
        maximum: Duration = .seconds(1),
        jitter: @escaping @Sendable () -> Double = { Double.random(in: 0...1) }
    ) {
        self.base = base
        self.maximum = maximum
        self.jitter = jitter
    }

    /// The pause after so many failures in a row.
    func pause(after failures: Int) -> Duration {
        // Twenty doublings exceed any maximum, and no integer.
        let ceiling = min(self.maximum, self.base * (1 << min(max(failures - 1, 0), 20)))
        return ceiling * self.jitter()
    }
}

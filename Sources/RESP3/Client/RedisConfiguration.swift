package import Logging
package import NIOCore
import NIOPosix

/// How a client behaves.
package struct RedisConfiguration: Sendable {
    /// Which servers to talk to.
    package var endpoint: RedisEndpoint

    /// How long a command may take, waiting for a connection and redirects included, unless a call says otherwise.
    package var commandTimeout: Duration = .seconds(2)

    /// How long it may take to connect, and then again to be let in.
    package var connectTimeout: Duration = .seconds(2)

    /// How many connections to each server the commands share.
    package var connectionsPerNode = 1

    /// How long a connection on which a reply is late may be silent before it is given up with all that was sent on it.
    ///
    /// While bytes arrive, only the calls whose time is over fail.
    package var silenceTimeout: Duration = .seconds(1)

    /// How many large calls may have left a connection for such calls without their replies: the others wait unsent, so
    /// that the server does not pile up their replies.
    package var maximumLargeCallsInFlight = 16

    /// How many commands may wait on one connection, for being sent or for their reply.
    package var maximumPendingCommands = 1 << 16

    /// How many bytes the commands that wait on one connection may have.
    package var maximumPendingBytes = 64 << 20

    /// How much of a reply is accepted.
    package var limits = RESPLimits()

    /// What the server shows this client as; `nil` for no name.
    package var clientName: String?

    /// The pauses between attempts to connect, and between repetitions of a command that was not executed.
    package var backoff = Backoff()

    /// After how many failed attempts to connect in a row commands fail at once instead of waiting for the next one.
    package var maximumConnectFailures = 5

    /// How often a connection for subscriptions is asked whether it is alive.
    package var pingInterval: Duration = .seconds(10)

    /// How many channels may be subscribed to at a time.
    package var maximumSubscriptions = 1 << 16

    /// Where the connections live.
    package var eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton

    /// Where to report, at `debug` and `info`, what cannot be thrown.
    package var logger: Logger

    /// Creates the default configuration.
    ///
    /// - Parameters:
    ///   - endpoint: Which servers to talk to.
    ///   - logger: Where to report what cannot be thrown; the current one by default.
    package init(_ endpoint: RedisEndpoint, logger: Logger = .current) {
        self.endpoint = endpoint
        self.logger = logger
    }
}

#if Proxy
import Foundation
import IdemptxProxy
import Logging
import NIOCore

/// How many files, connections among them, this process may have open at a time.
enum OpenFileLimit {
    /// Raises the limit to the highest that the system permits; `nil` if it does not tell.
    static func raised() -> Int? {
        var limit = rlimit()
        // Safe: both calls read or write one structure, which lives longer than they take.
        guard unsafe getrlimit(Self.resource, &limit) == 0 else { return nil }
        var highest = limit
        highest.rlim_cur = min(limit.rlim_max, Self.maximum)
        if limit.rlim_cur < highest.rlim_cur, unsafe setrlimit(Self.resource, &highest) == 0 { limit = highest }
        return Int(clamping: limit.rlim_cur)
    }

    #if canImport(Darwin)
    private static let resource = RLIMIT_NOFILE
    private static let maximum = rlim_t(OPEN_MAX)
    #elseif canImport(Musl)
    private static let resource = RLIMIT_NOFILE
    private static let maximum = rlim_t.max
    #else
    private static let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    private static let maximum = rlim_t.max
    #endif

    /// What everything but clients and upstream needs: the event loops, the store, the server for the operator.
    static var reserve: Int { 64 + 4 * System.coreCount }
}

extension ProxyLimits {
    /// These limits, within the number of files that the process may have open.
    ///
    /// A client that is connected needs an upstream only while it has a request: two thirds are for clients.
    func bounded(byOpenFiles openFiles: Int, logger: Logger) -> ProxyLimits {
        let available = max(3, openFiles - OpenFileLimit.reserve)
        guard self.maxConnections + self.maxUpstreamConnections > available else { return self }
        var limits = self
        limits.maxUpstreamConnections = min(self.maxUpstreamConnections, available / 3)
        limits.maxConnections = min(self.maxConnections, available - limits.maxUpstreamConnections)
        logger.warning(
            "The system permits fewer open files than the limits of connections need: raise it (ulimit -n)",
            metadata: [
                "idemptx.open_files": "\(openFiles)", "idemptx.max_connections": "\(limits.maxConnections)",
                "idemptx.max_upstream_connections": "\(limits.maxUpstreamConnections)",
            ])
        return limits
    }
}
#endif

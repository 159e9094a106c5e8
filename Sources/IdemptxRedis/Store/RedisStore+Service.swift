import Idemptx
import Logging
import Metrics
public import ServiceLifecycle

extension RedisStore {
    /// Asks every primary whether it may evict records.
    ///
    /// A server that refuses to tell counts as one that may.
    ///
    /// - Throws: `StoreError`: `unavailable` if a server cannot be reached, `misconfigured` if it refuses the connection, or may
    ///   evict records and ``RedisStoreConfiguration/requireNoEviction`` is set.
    public func verify() async throws {
        var evicting = 0
        for primary in try await self.executor.primaries() {
            let policy = try await self.evictionPolicy(of: primary)
            guard policy != "noeviction" else { continue }
            evicting += 1
            Logger.current.warning(
                """
                Redis may evict idempotency records, and their operations would run twice: \
                set maxmemory-policy to noeviction, on servers of their own
                """,
                metadata: ["redis.maxmemory_policy": "\(policy ?? "unknown")"])
        }
        self.evictingServers.record(evicting)
        guard evicting == 0 || !self.configuration.requireNoEviction else {
            throw StoreError(.misconfigured, "Redis may evict records: its maxmemory-policy is not noeviction.")
        }
    }

    /// From `INFO`, which managed services allow where they refuse `CONFIG`; `nil` if they do not.
    private func evictionPolicy(of primary: any RedisExecutor) async throws -> String? {
        let reply = try await primary.checkedExecute([RedisCommand("INFO", "memory")], key: nil)[0]
        // A user that may write records may not be allowed to ask about the server.
        if case .error(let message) = reply, StoreError(refusal: message).code == .misconfigured { return nil }
        let info = try reply.get().text ?? ""
        let line = info.split(whereSeparator: \.isNewline).first { $0.hasPrefix("maxmemory_policy:") }
        return line.map { String($0.drop { $0 != ":" }.dropFirst()) }
    }
}

extension RedisStore: Service {
    /// Does ``verify()`` as soon as the servers can be reached, then waits for the shutdown of the service group.
    ///
    /// Nothing depends on it: records expire by themselves. It fails only as ``verify()`` does for a wrong set-up.
    public func run() async throws {
        do {
            try await cancelWhenGracefulShutdown { try await self.verifyWhenReachable() }
            try await gracefulShutdown()
        } catch is CancellationError {
            return
        }
    }

    private func verifyWhenReachable() async throws {
        while true {
            do {
                return try await self.verify()
            } catch let error as StoreError where error.code != .misconfigured {
                Logger.current.info("Redis cannot be asked for its settings yet", metadata: ["error": "\(error)"])
                try await Task.sleep(for: .seconds(5))
            }
        }
    }
}

import RESP3
import TestSupport

/// A primary, its replicas, and three sentinels that watch it.
package final class SentinelGroup: Sendable {
    /// The name under which the sentinels know the primary.
    package let name = "main"
    /// The server that is the primary at first.
    package let primary: RedisServer
    /// The servers that are replicas at first.
    package let replicas: [RedisServer]
    /// The sentinels.
    package let sentinels: [RedisServer]

    private init(_ primary: RedisServer, _ replicas: [RedisServer], _ sentinels: [RedisServer]) {
        self.primary = primary
        self.replicas = replicas
        self.sentinels = sentinels
    }

    /// Runs a group while `body` runs, and kills it then.
    @discardableResult
    package static func with<Value>(
        _ options: RedisServerOptions = RedisServerOptions(), replicas: Int = 1, sentinelPassword: String? = nil,
        _ body: (SentinelGroup) async throws -> Value
    ) async throws -> Value {
        try await ServerCollection.with { servers in
            let primary = try await servers.start(options)
            var others: [RedisServer] = []
            for _ in 0..<replicas {
                var options = options
                options.lines += ["replicaof \(primary.host) \(primary.port)", "repl-diskless-sync-delay 0"]
                others.append(try await servers.start(options))
            }
            let sentinels = try await servers.startSentinels(of: primary, named: "main", password: sentinelPassword)
            let group = SentinelGroup(primary, others, sentinels)
            try await group.waitUntilComplete()
            return try await body(group)
        }
    }

    /// A URL of the group.
    package var url: String {
        "redis+sentinel://" + self.sentinels.map { "\($0.host):\($0.port)" }.joined(separator: ",") + "/\(self.name)"
    }

    /// The port of the primary, according to the sentinels.
    package func currentPort() async throws -> Int? {
        try await self.sentinels[0].send(["SENTINEL", "GET-MASTER-ADDR-BY-NAME", RedisArgument(self.name)])
            .elements?.last?.integer
    }

    private func waitUntilComplete() async throws {
        for replica in self.replicas {
            try await eventually("a replica is in step") {
                try await replica.send(["ROLE"]).elements?[3].string == "connected"
            }
        }
        for sentinel in self.sentinels {
            try await eventually("a sentinel knows the others") {
                let state = try await sentinel.send(["SENTINEL", "MASTER", RedisArgument(self.name)])
                let fields = state.pairs?.reduce(into: [:]) { $0[$1.key.string] = $1.value.integer }
                return fields?["num-slaves"] == self.replicas.count && fields?["num-other-sentinels"] == 2
            }
        }
    }
}

extension ServerCollection {
    fileprivate func startSentinels(
        of primary: RedisServer, named name: String, password: String?
    ) async throws -> [RedisServer] {
        var sentinels: [RedisServer] = []
        for _ in 0..<3 {
            var options = RedisServerOptions()
            options.password = password
            options.lines = [
                "sentinel monitor \(name) \(primary.host) \(primary.port) 2",
                "sentinel down-after-milliseconds \(name) 500", "sentinel failover-timeout \(name) 3000",
            ]
            if let password { options.lines += ["sentinel sentinel-pass \(password)"] }
            sentinels.append(try await self.start(options, .sentinel))
        }
        return sentinels
    }
}

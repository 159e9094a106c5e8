import RESP3
import RedisServerTesting
import TestSupport
import Testing

@Suite("A cluster", .timeLimit(.minutes(2)))
struct ClusterTests {
    private func slot(of key: String, in group: ClusterGroup) async throws -> Int {
        try await group.nodes[0].send(["CLUSTER", "KEYSLOT", RedisArgument(key)]).integer ?? 0
    }

    @Test("has each key where it belongs, and primaries that have them all between them", arguments: RedisBinary.all)
    func distribution(binary: RedisBinary) async throws {
        try await ClusterGroup.with(RedisServerOptions(binary)) { group in
            try await withClient(group.url) { client in
                let script: RedisArgument = "return redis.call('set', KEYS[1], ARGV[1])"
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    for number in 0..<300 {
                        tasks.addTask {
                            let key = RedisArgument("key\(number)")
                            _ = try await client.send(["EVAL", script, 1, key, RedisArgument(number)], key: key)
                            let reply = try await client.send(["GET", key], key: key)
                            #expect(reply.integer == number)
                        }
                    }
                    try await tasks.waitForAll()
                }
                // The map was right from the start.
                #expect(try await group.errors("MOVED") == 0)
                var sizes: [Int] = []
                for primary in try await client.primaries() {
                    sizes.append(try await primary.send(["DBSIZE"]).integer ?? 0)
                }
                #expect(sizes.count == 3 && sizes.allSatisfy { $0 > 0 } && sizes.reduce(0, +) == 300)
                #expect(try await client.send(["PING"]).string == "PONG")
            }
        }
    }

    @Test("moves a slot under load, and no command is lost or doubled")
    func moveUnderLoad() async throws {
        try await ClusterGroup.with { group in
            try await withClient(group.url) { client in
                let slot = try await self.slot(of: "{tag}", in: group)
                let source = try await group.owner(of: slot)
                let target = (source + 1) % 3
                let load = Task {
                    try await withThrowingTaskGroup(of: Int.self) { tasks in
                        for worker in 0..<8 {
                            tasks.addTask {
                                let key = RedisArgument("{tag}\(worker)")
                                var count = 0
                                while !Task.isCancelled {
                                    do {
                                        _ = try await client.send(["INCR", key], key: key)
                                        count += 1
                                        let stored = try await client.send(["GET", key], key: key).integer
                                        #expect(stored == count)
                                    } catch RedisError.cancelled {
                                        break
                                    }
                                }
                                return count
                            }
                        }
                        return try await tasks.reduce(0, +)
                    }
                }
                try await eventually("all keys are there") {
                    try await group.nodes[source].send(["CLUSTER", "COUNTKEYSINSLOT", RedisArgument(slot)]).integer == 8
                }
                try await group.beginMove(of: slot, from: source, to: target)
                try await group.moveKeys(of: slot, from: source, to: target)
                try await eventually("commands are sent on") { try await group.errors("ASK") > 20 }
                try await group.endMove(of: slot, to: target)
                try await eventually("the move is noticed") { try await group.errors("MOVED") > 0 }
                let moved = try await group.errors("MOVED")
                try await eventually("the new server is used") {
                    try await group.nodes[target].send(["GET", "{tag}0"]).integer ?? 0 > 0
                }
                load.cancel()
                let counted = try await load.value
                var stored = 0
                for worker in 0..<8 {
                    let key = RedisArgument("{tag}\(worker)")
                    stored += try await client.send(["GET", key], key: key).integer ?? 0
                }
                // Each worker may have been cancelled while its last increment was under way.
                #expect(counted...counted + 8 ~= stored && counted > 0)
                // Who has noticed does not ask at the wrong place again.
                #expect(try await group.errors("MOVED") <= moved + 8)
            }
        }
    }

    @Test("is waited for while some keys of a command are here and some there")
    func tryAgain() async throws {
        try await ClusterGroup.with { group in
            try await withClient(group.url) { client in
                let slot = try await self.slot(of: "{tag}", in: group)
                let source = try await group.owner(of: slot)
                let target = (source + 1) % 3
                _ = try await client.send(["SET", "{tag}a", "a"], key: "{tag}a")
                try await group.beginMove(of: slot, from: source, to: target)
                try await group.moveKeys(of: slot, from: source, to: target)
                // At the new server, before the slot is.
                _ = try await client.send(["SET", "{tag}b", "b"], key: "{tag}b")
                let task = Task { try await client.send(["MGET", "{tag}a", "{tag}b", "{tag}c"], key: "{tag}a") }
                try await eventually("it is asked to try again") { try await group.errors("TRYAGAIN") > 0 }
                try await group.endMove(of: slot, to: target)
                #expect(try await task.value.elements?.map(\.string) == ["a", "b", nil])
            }
        }
    }

    @Test("fails commands for a server that is down in bounded time, replies the others, and recovers")
    func serverDown() async throws {
        var options = RedisServerOptions()
        options.isDurable = true
        options.lines = ["cluster-require-full-coverage no"]
        try await ClusterGroup.with(options) { group in
            try await withClient(group.url) { client in
                let keys = (0..<30).map { RedisArgument("key\($0)") }
                for key in keys { _ = try await client.send(["SET", key, "value"], key: key) }
                try await group.nodes[0].kill()
                var replied = 0
                for key in keys {
                    do {
                        _ = try await client.send(["GET", key], key: key, timeout: .milliseconds(500))
                        replied += 1
                    } catch RedisError.replyLost {
                    } catch RedisError.notSent {
                    } catch RedisError.server(let error) {
                        #expect(error.code == "CLUSTERDOWN")
                    }
                }
                #expect(replied > 0 && replied < 30)
                try await group.nodes[0].restart()
                for key in keys {
                    try await eventually("the server is used again") {
                        try await client.send(["GET", key], key: key).string == "value"
                    }
                }
            }
        }
    }

    @Test("publishes to subscribers of a shard, also after the shard has moved", arguments: RedisBinary.all)
    func publishing(binary: RedisBinary) async throws {
        try await ClusterGroup.with(RedisServerOptions(binary)) { group in
            try await withClient(group.url) { client in
                let command = try await client.publishCommand()
                #expect(command == (binary.description == "Redis 6.2" ? "PUBLISH" : "SPUBLISH"))
                let script: RedisArgument = "return redis.call('\(command)', ARGV[1], 'x')"
                var hints = client.subscribe(to: "{tag}channel").makeAsyncIterator()
                #expect(await hints.next(isolation: #isolation) != nil)
                let slot = try await self.slot(of: "{tag}", in: group)
                for _ in 0..<3 {
                    _ = try await client.send(["EVAL", script, 1, "{tag}key", "{tag}channel"], key: "{tag}key")
                    #expect(await hints.next(isolation: #isolation) != nil)

                    let source = try await group.owner(of: slot)
                    let target = (source + 1) % 3
                    try await group.beginMove(of: slot, from: source, to: target)
                    try await group.moveKeys(of: slot, from: source, to: target)
                    try await group.endMove(of: slot, to: target)
                    guard command == "SPUBLISH" else { continue }
                    // The old server ends the subscription, the new one confirms it.
                    #expect(await hints.next(isolation: #isolation) != nil)
                    try await eventually("the new server has a subscriber") {
                        let reply = try await group.nodes[target].send(["PUBSUB", "SHARDNUMSUB", "{tag}channel"])
                        return reply.pairs?.first?.value.integer == 1
                    }
                }
            }
        }
    }

    @Test("is subscribed to where a channel is now, by who only knows where it was")
    func movedSubscription() async throws {
        try await ClusterGroup.with { group in
            try await withClient(group.url) { client in
                // It knows the map from now on.
                _ = try await client.publishCommand()
                let slot = try await self.slot(of: "{tag}", in: group)
                let source = try await group.owner(of: slot)
                let target = (source + 1) % 3
                try await group.beginMove(of: slot, from: source, to: target)
                try await group.endMove(of: slot, to: target)
                var hints = client.subscribe(to: "{tag}channel").makeAsyncIterator()
                #expect(await hints.next(isolation: #isolation) != nil)
                let receivers = try await group.nodes[target].send(["SPUBLISH", "{tag}channel", "x"])
                #expect(receivers == .integer(1))
                #expect(await hints.next(isolation: #isolation) != nil)
                #expect(try await group.errors("MOVED") > 0)
            }
        }
    }

    @Test("is not found where there is none")
    func noCluster() async throws {
        try await RedisServer.with { server in
            try await withClient("redis+cluster://\(server.host):\(server.port)") { client in
                await #expect { try await client.send(["GET", "key"], key: "key") } throws: { error in
                    guard case RedisError.notSent(let sentence) = error else { return false }
                    return sentence.contains("cluster support disabled")
                }
            }
        }
    }
}

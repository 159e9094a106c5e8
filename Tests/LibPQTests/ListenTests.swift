import LibPQ
import PostgresServerTesting
import TestSupport
import Testing

@Suite("Listening", .timeLimit(.minutes(10)))
struct ListenTests {
    @Test("A listener is told that it listens, and then what was sent", arguments: [true, false])
    func notifications(usesPipelines: Bool) async throws {
        try await Fixture.withDatabase(.with { $0.usesPipelines = usesPipelines }) { client, _ in
            // A name of all that has to be quoted.
            let channel = #"Orders "and" more"#
            var events = client.listen(channel).makeAsyncIterator()
            #expect(await events.next() == .listening)
            try await client.query("SELECT pg_notify($1, 'one')", [.text(channel)])
            try await client.query("SELECT pg_notify('another', 'two')")
            try await client.query("SELECT pg_notify($1, '')", [.text(channel)])
            #expect(await events.next() == .notification(payload: "one"))
            #expect(await events.next() == .notification(payload: ""))
        }
    }

    @Test("Several listeners of several channels share a connection, and each gets its own")
    func several() async throws {
        try await Fixture.withDatabase(.with { $0.applicationName = "listeners" }) { client, _ in
            var first = client.listen("a").makeAsyncIterator()
            #expect(await first.next() == .listening)
            var second = client.listen("a").makeAsyncIterator()
            var third = client.listen("b").makeAsyncIterator()
            #expect(await second.next() == .listening)
            #expect(await third.next() == .listening)
            try await client.query("SELECT pg_notify('a', '1'), pg_notify('b', '2')")
            #expect(await first.next() == .notification(payload: "1"))
            #expect(await second.next() == .notification(payload: "1"))
            #expect(await third.next() == .notification(payload: "2"))
            let listening = try await client.integer(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'listeners' AND query LIKE 'LISTEN%'")
            #expect(listening == 1)
        }
    }

    @Test("A listener learns of a gap after the server was away, and hears what is sent then")
    func restart() async throws {
        try await Fixture.withServer { server in
            try await Fixture.withClient(server.conninfo()) { client in
                var events = client.listen("channel").makeAsyncIterator()
                #expect(await events.next() == .listening)
                try await server.kill()
                #expect(await events.next() == .interrupted)
                try await server.restart()
                #expect(await events.next() == .listening)
                try await eventually("the server is used again") { try await client.integer("SELECT 1") == 1 }
                try await client.query("SELECT pg_notify('channel', 'after')")
                #expect(await events.next() == .notification(payload: "after"))
            }
        }
    }

    @Test("A server that is silent is found out")
    func silent() async throws {
        try await Fixture.withServer { server in
            try await Fixture.withClient(server.conninfo(), { $0.listenPingInterval = .milliseconds(200) }) { client in
                var events = client.listen("channel").makeAsyncIterator()
                #expect(await events.next() == .listening)
                server.pause()
                // On a busy machine, one that is not halted may be taken for silent too.
                var event = await events.next()
                while event == .listening { event = await events.next() }
                #expect(event == .interrupted)
                server.resume()
                #expect(await events.next() == .listening)
            }
        }
    }

    @Test("A reader that is too slow is told of the gap")
    func slowReader() async throws {
        try await Fixture.withDatabase(.with { $0.maximumPendingEvents = 4 }) { client, _ in
            var events = client.listen("channel").makeAsyncIterator()
            #expect(await events.next() == .listening)
            try await client.query("SELECT pg_notify('channel', n::text) FROM generate_series(1, 50) n")
            var event = await events.next()
            for number in 1... {
                if event == .listening { break }
                // Without a gap between them.
                try #require(event == .notification(payload: "\(number)"))
                event = await events.next()
            }
            let later = PostgresEvent.notification(payload: "later")
            while event != later {
                // It may fall into a gap too, of which the reader learns then.
                if event == .listening { try await client.query("SELECT pg_notify('channel', 'later')") }
                event = await events.next()
                try #require(event != nil)
            }
        }
    }

    @Test("Dropping the streams ends the listening, and its connection")
    func dropped() async throws {
        try await Fixture.withDatabase(.with { $0.applicationName = "dropped-listener" }) { client, database in
            try await Fixture.withClient(database.conninfo()) { other in
                func connections() async throws -> Int64? {
                    try await other.integer(
                        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dropped-listener'")
                }
                do {
                    var events = client.listen("channel").makeAsyncIterator()
                    #expect(await events.next() == .listening)
                    #expect(try await connections() == 1)
                }
                try await eventually("it is closed") { try await connections() == 0 }
            }
        }
    }

    @Test("A channel that cannot be ends its stream", arguments: ["", String(repeating: "x", count: 64), "a\0b"])
    func hopeless(channel: String) async throws {
        try await Fixture.withClient("host=/nowhere") { client in
            for await event in client.listen(channel) { Issue.record("\(event)") }
        }
    }
}

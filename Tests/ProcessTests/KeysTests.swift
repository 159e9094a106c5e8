import Foundation
import NIOHTTP1
import PostgresServerTesting
import RedisServerTesting
import TestSupport
import Testing

@Suite("idemptx keys", .timeLimit(.minutes(10)))
struct KeysTests {
    enum StoreKind: CaseIterable {
        case sqlite
        case redis
        case postgres
    }

    struct Listing: Decodable {
        let records: [Record]
        let next: String?
    }

    struct Record: Decodable {
        let record: String
        let state: String
        let attempt: Int
        let ageMs: Int
        let leaseLeftMs: Int?
        let ttlLeftMs: Int?
        let status: Int?
        let bodySize: Int?
        let bodyBase64: Data?
    }

    private let directory: CommandProcess.Directory

    init() throws {
        self.directory = try CommandProcess.Directory()
    }

    /// Runs a test on a store that processes can share.
    private func with(_ kind: StoreKind, _ body: (_ store: [String]) async throws -> Void) async throws {
        switch kind {
        case .sqlite: try await body(["--store", "sqlite:store.sqlite"])
        case .redis: try await RedisServer.with { try await body(["--store", $0.url()]) }
        case .postgres: try await PostgresServer.withDatabase { try await body(["--store", $0.url]) }
        }
    }

    private func keys(_ arguments: [String]) async throws -> CommandProcess {
        let process = try CommandProcess(["keys"] + arguments, in: self.directory)
        _ = try await process.exitStatus()
        return process
    }

    /// The same on a terminal, with typed input.
    private func keysOnTerminal(_ arguments: [String], typing line: String) async throws -> CommandProcess {
        let script = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
        let keyboard = Pipe()
        try keyboard.fileHandleForWriting.write(contentsOf: Data((line + "\n").utf8))
        let process = try CommandProcess(
            ["python3", "-c", script, CommandProcess.executable.path, "keys"] + arguments,
            of: URL(filePath: "/usr/bin/env"), in: self.directory, input: keyboard.fileHandleForReading)
        _ = try await process.exitStatus()
        return process
    }

    private func json<Value: Decodable>(_ arguments: [String], as type: Value.Type = Value.self) async throws -> Value {
        let process = try await self.keys(arguments + ["--json"])
        // The servers of PostgreSQL for tests do not sync, which is worth a warning.
        #expect(process.errorText.split(separator: "\n").allSatisfy { $0.contains("postgres.setting=fsync") })
        return try JSONDecoder().decode(Value.self, from: Data(process.outputText.utf8))
    }

    @Test("lists, shows, counts and removes records while a server uses them", arguments: StoreKind.allCases)
    func inspects(kind: StoreKind) async throws {
        try await self.with(kind) { store in
            let demo = try await Demo.start(store, in: self.directory)
            let response = try await demo.charge(key: "k-1")
            let slow = Task { try await demo.charge(key: "k-2", latency: "60s") }
            defer { slow.cancel() }
            try await eventually("The slow charge runs") { try await demo.ledger().count == 2 }

            let listing: Listing = try await self.json(["list"] + store)
            #expect(listing.records.map(\.state).sorted() == ["claimed", "completed"])
            #expect(
                listing.records.allSatisfy {
                    $0.attempt == 1 && $0.record.count == 64 && $0.ttlLeftMs ?? 0 > 80_000_000
                })
            let claimed: Listing = try await self.json(["list", "--state", "claimed"] + store)
            let lease = try #require(claimed.records.first?.leaseLeftMs)
            #expect((1...30_000).contains(lease))
            #expect(try await self.json(["list", "--older-than", "1h"] + store, as: Listing.self).records.isEmpty)

            let shown: Record = try await self.json(["show", "--key", "k-1", "--body"] + store)
            #expect(shown.status == 201)
            #expect(shown.bodyBase64 == Data(response.body.utf8))
            let short = String(shown.record.prefix(16))
            #expect(try await self.keys(["show", short, "--body"] + store).outputText == response.body)
            let table = try await self.keys(["show", shown.record] + store).outputText
            #expect(table.contains(/status +201\n/))
            #expect(try await self.keys(["list"] + store).outputText.contains(short))
            let counts: [String: Int] = try await self.json(["stats"] + store)
            #expect(
                counts == [
                    "claimed": 1, "unknown": 0, "completed": 1, "tombstone": 0, "free": 0, "unreadable": 0, "total": 2,
                ])

            let removal = try await self.keys(["remove", short, "--yes", "--reason", "A test\ncharge"] + store)
            #expect(removal.outputText == "Removed.\n")
            #expect(removal.errorText.contains(#"A test\ncharge"#), "in one line")
            #expect(try await demo.charge(key: "k-1").header("X-Idempotency-Status") == "new")
            #expect(try await demo.ledger().count == 3)
        }
    }

    @Test("frees a stuck key, so that its retry runs", arguments: StoreKind.allCases)
    func releases(kind: StoreKind) async throws {
        try await self.with(kind) { store in
            let arguments = store + ["--lease", "1h"]
            let crashed = try await Demo.start(arguments, in: self.directory)
            let caller = Task { try await crashed.charge(key: "k-1", latency: "60s") }
            try await eventually("The charge runs") { try await crashed.ledger().count == 1 }
            try await crashed.process.killHard()
            await #expect(throws: (any Error).self) { try await caller.value }

            let demo = try await Demo.start(arguments, in: self.directory)
            #expect(try await demo.charge(key: "k-1", latency: "60s").status == 409)
            let release = ["release", "--key", "k-1", "--yes"] + store
            let refused = try await self.keys(release)
            #expect(refused.errorText.contains("An attempt is running, with 59m left of its lease"))
            #expect(try await demo.charge(key: "k-1", latency: "60s").status == 409)

            #expect(try await self.keys(release + ["--force"]).outputText == "Released.\n")
            let retry = Task { try await demo.charge(key: "k-1", latency: "60s") }
            defer { retry.cancel() }
            try await eventually("The retry runs") { try await demo.ledger().count == 2 }
        }
    }

    /// Leaves some keys whose attempts were killed, with leases that are over.
    private func crash(_ keys: [String], _ store: [String]) async throws {
        let arguments = store + ["--lease", "100ms", "--on-abandoned", "refuse"]
        let crashed = try await Demo.start(arguments, in: self.directory)
        let callers = keys.map { key in Task { try await crashed.charge(key: key, latency: "60s") } }
        try await eventually("The charges run") { try await crashed.ledger().count == keys.count }
        try await crashed.process.killHard()
        for caller in callers { _ = await caller.result }
        try await eventually("The leases are over") {
            try await self.json(["list", "--state", "unknown"] + store, as: Listing.self).records.count == keys.count
        }
    }

    @Test("completes a key whose outcome is unknown: its retries get what the operator found out")
    func completes() async throws {
        let store = ["--store", "sqlite:store.sqlite"]
        try await self.crash(["k-1", "k-2", "k-3"], store)
        let file = URL(filePath: self.directory.path).appending(path: "body.json")
        try Data(#"{"id":"found"}"#.utf8).write(to: file)
        let complete = ["complete", "--yes", "--reason", "The bank says so", "--status", "201"] + store
        let first = try await self.keys(
            complete + [
                "--key", "k-1", "--header", "Location: /charges/9", "--header", "X-Note:\u{301}", "--body-file",
                file.path,
            ])
        #expect(first.outputText == "Completed.\n")
        #expect(first.errorText.contains("The bank says so"))
        #expect(try await self.keys(complete + ["--key", "k-2", "--tombstone"]).outputText == "Completed.\n")
        let told = ["--key", "k-3", "--body", #"{"id":"told"}"#]
        #expect(try await self.keys(complete + told).outputText == "Completed.\n")
        let again = try await self.keys(complete + ["--key", "k-1"])
        #expect(again.errorText == "Error: The operation has an outcome already; nothing was changed.\n")

        let shown: Record = try await self.json(["show", "--key", "k-1", "--body"] + store)
        #expect(shown.status == 201)
        #expect(shown.bodyBase64 == Data(#"{"id":"found"}"#.utf8))
        let toldOfIt: Record = try await self.json(["show", "--key", "k-3", "--body"] + store)
        #expect(toldOfIt.bodyBase64 == Data(#"{"id":"told"}"#.utf8))
        let demo = try await Demo.start(store + ["--on-abandoned", "refuse"], in: self.directory)
        #expect(try await demo.charge(key: "k-2", latency: "60s").status == 409)
    }

    @Test("frees all keys whose outcome is unknown, if they are old enough, and their numbers go on rising")
    func releasesUnknown() async throws {
        let store = ["--store", "sqlite:store.sqlite"]
        try await self.crash(["k-1", "k-2", "k-3"], store)
        let release = ["release", "--state", "unknown", "--yes", "--reason", "The bank was down"] + store
        #expect(try await self.keys(release + ["--older-than", "1h"]).outputText == "Released 0 keys.\n")
        #expect(try await self.keys(release).outputText == "Released 3 keys.\n")
        #expect(try await self.json(["list", "--state", "unknown"] + store, as: Listing.self).records.isEmpty)
        let free: Listing = try await self.json(["list", "--state", "free"] + store)
        #expect(free.records.map(\.attempt) == [1, 1, 1])
        let demo = try await Demo.start(store + ["--on-abandoned", "refuse"], in: self.directory)
        #expect(try await demo.charge(key: "k-1").status == 201)
        let shown: Record = try await self.json(["show", "--key", "k-1"] + store)
        #expect(shown.attempt == 2)
    }

    @Test("goes through all records page by page", arguments: StoreKind.allCases)
    func pages(kind: StoreKind) async throws {
        try await self.with(kind) { store in
            let demo = try await Demo.start(store, in: self.directory)
            for number in 0..<7 { _ = try await demo.charge(key: "k-\(number)") }
            var found: Set<String> = []
            var after: [String] = []
            repeat {
                let page: Listing = try await self.json(["list", "--limit", "3"] + after + store)
                found.formUnion(page.records.map(\.record))
                after = page.next.map { ["--after", $0] } ?? []
            } while !after.isEmpty
            #expect(found.count == 7)
        }
    }

    @Test("tells callers apart as the server does")
    func scopes() async throws {
        let shop = try await Shop.start(in: self.directory)
        let proxy = try await Proxy.start(
            for: shop.server, ["--scope-header", "X-Tenant", "--scope-header", "X-User"], in: self.directory)
        _ = try await proxy.post("/orders", key: "k-1", headers: ["X-User": "u", "X-Tenant": "t"])
        let scope = ["--scope-header", "X-Tenant", "--scope-header", "X-User"]
        func isThere(_ arguments: String...) async throws -> Bool {
            let process = try await self.keys(["show", "--key", "k-1"] + scope + arguments)
            #expect(process.errorText.isEmpty || process.errorText == "Error: There is no such record.\n")
            return try await process.exitStatus() == 0
        }
        #expect(try await isThere("--scope-value", "t", "--scope-value", "u"))
        #expect(try await !isThere("--scope-value", "u", "--scope-value", "t"))
        #expect(try await !isThere())
    }

    @Test("reads what the proxy read: its file, and its environment")
    func sameSettings() async throws {
        let file = URL(filePath: self.directory.path).appending(path: "idemptx.json")
        try Data(#"{"store": "sqlite:s.sqlite", "scopeHeader": ["X-Tenant"], "namespace": "shop"}"#.utf8).write(
            to: file)
        let shop = try await Shop.start(in: self.directory)
        let proxy = try await Proxy.start(for: shop.server, ["--config", file.path], in: self.directory)
        _ = try await proxy.post("/orders", key: "k-1", headers: ["X-Tenant": "t"])
        let show = ["keys", "show", "--key", "k-1", "--scope-value", "t"]
        let byFile = try CommandProcess(show + ["--config", file.path], in: self.directory)
        #expect(try await byFile.exitStatus() == 0)
        let environment = [
            "IDEMPTX_STORE": "sqlite:s.sqlite", "IDEMPTX_SCOPE_HEADER": "X-Tenant", "IDEMPTX_NAMESPACE": "shop",
        ]
        let byEnvironment = try CommandProcess(show, in: self.directory, environment: environment)
        #expect(try await byEnvironment.exitStatus() == 0)
        #expect(byEnvironment.outputText.contains("completed"))
    }

    @Test("leaves a database alone that is another's")
    func foreignFile() async throws {
        let path = self.directory.path + "/foreign.sqlite"
        let ledger = try await Demo.start(["--store", "memory", "--ledger", path], in: self.directory)
        _ = try await ledger.charge(key: "k-1")
        try await ledger.process.killHard()
        for command in [["list"], ["stats"], ["show", String(repeating: "a", count: 64)]] {
            let process = try await self.keys(command + ["--store", "sqlite:\(path)"])
            #expect(process.errorText == "Error: --store: The SQLite file holds no records of idemptx.\n")
        }
        let again = try await Demo.start(["--store", "memory", "--ledger", path], in: self.directory)
        #expect(try await again.ledger().count == 1)
    }

    @Test("ends quietly when its reader has had enough, and says so when the disk is full")
    func output() async throws {
        let demo = try await Demo.start(in: self.directory)
        _ = try await demo.charge(key: "k-1")
        func shell(_ line: String) async throws -> CommandProcess {
            let process = try CommandProcess(
                ["-c", line, CommandProcess.executable.path], of: URL(filePath: "/bin/bash"), in: self.directory)
            _ = try await process.exitStatus()
            return process
        }
        // The reader is gone for sure before anything is written.
        let closed = try await shell(#"set -o pipefail; { sleep 1; "$0" keys list; } | exec true"#)
        #expect(closed.errorText.isEmpty)
        let full = try await shell(#""$0" keys list >/dev/full"#)
        #expect(full.errorText == "Error: Standard output cannot be written to.\n")
        #expect(try await full.exitStatus() == 1)
    }

    @Test("asks on a terminal before it changes anything")
    func asks() async throws {
        let store = ["--store", "sqlite:store.sqlite"]
        let demo = try await Demo.start(store, in: self.directory)
        let charge = try await demo.charge(key: "k-1")
        for (typed, isRemoved) in [("n", false), ("", false), ("y", true)] {
            let process = try await self.keysOnTerminal(["remove", "--key", "k-1"] + store, typing: typed)
            #expect(process.outputText.contains("The next request with its key runs. [y/N] "))
            #expect(try await process.exitStatus() == (isRemoved ? 0 : 1))
            let again = try await demo.charge(key: "k-1")
            #expect((again.repeatable == charge.repeatable) == !isRemoved)
        }
    }

    @Test("changes nothing unasked")
    func doesNotAsk() async throws {
        let demo = try await Demo.start(in: self.directory)
        _ = try await demo.charge(key: "k-1")
        let process = try await self.keys(["remove", "--key", "k-1"])
        #expect(process.errorText == "Error: There is no terminal to ask on: confirm with --yes.\n")
        #expect(try await demo.charge(key: "k-1").header("Idempotent-Replayed") == "true")
    }

    static let refusals: [(arguments: [String], sentence: String)] = [
        (
            ["list", "--store", "memory"],
            "--store: the records of a memory store can be seen only by their own process."
        ),
        (
            ["list", "--store", "sqlite:none.sqlite"],
            "--store: The SQLite file cannot be opened: unable to open database file."
        ),
        (["list"], "--store: The SQLite file cannot be opened: unable to open database file."),
        (["list", "--older-than", "1"], "--older-than: '1' is not a duration, such as 500ms, 30s, 15m, 24h or 7d."),
        (
            ["show", "abc", "--store", "sqlite:x"],
            "'abc' is not a record: at least 16 of its 64 hexadecimal digits are needed."
        ),
        (["show", String(repeating: "a", count: 16), "--store", "sqlite:x"], "There is no record aaaaaaaaaaaaaaaa."),
        (["show", String(repeating: "a", count: 64), "--store", "sqlite:x"], "There is no such record."),
        (["remove", String(repeating: "a", count: 64), "-y", "--store", "sqlite:x"], "There is no such record."),
        (["release", String(repeating: "a", count: 64), "-y", "--store", "sqlite:x"], "There is no such record."),
        (["list", "--after", "abc", "--store", "sqlite:x"], "The cursor is none of this store."),
        (
            ["list", "--state", "unknown", "--after", "abc", "--store", "sqlite:x"], "The cursor is none of this store."
        ),
        (
            [
                "complete", String(repeating: "a", count: 64), "-y", "--status", "201", "--reason", "r", "--store",
                "sqlite:x",
            ], "There is no such record, or nothing runs under it."
        ),
        (
            [
                "complete", String(repeating: "a", count: 64), "-y", "--status", "201", "--reason", "r", "--header",
                "nonsense", "--store", "sqlite:x",
            ], "--header: 'nonsense' is not a header field, such as 'Location: /charges/1'."
        ),
        (
            [
                "complete", String(repeating: "a", count: 64), "-y", "--status", "201", "--reason", "r", "--header",
                "Content-Length: 9", "--store", "sqlite:x",
            ], "--header: no response is kept with Content-Length: every replay gets one of its own."
        ),
        (
            [
                "complete", String(repeating: "a", count: 64), "-y", "--status", "201", "--reason", "r", "--body-file",
                "missing", "--store", "sqlite:x",
            ], "--body-file: 'missing' cannot be read."
        ),
        (
            ["release", "--state", "unknown", "--older-than", "1", "-y", "--store", "sqlite:x"],
            "--older-than: '1' is not a duration, such as 500ms, 30s, 15m, 24h or 7d."
        ),
        (["show", "--key", "ä", "--store", "sqlite:x"], "--key: this is no valid key: invalid character."),
        (
            ["show", "--key", "a", "--scope-value", "b", "--scope-value", "c", "--store", "sqlite:x"],
            "--scope-value: there must be one for each scope header, in their order."
        ),
    ]

    @Test("refuses what makes no sense in one sentence", arguments: refusals.indices)
    func isRefused(index: Int) async throws {
        // An empty store, for those that need one.
        let demo = try await Demo.start(["--store", "sqlite:x"], in: self.directory)
        try await demo.process.killHard()
        let (arguments, sentence) = Self.refusals[index]
        let process = try await self.keys(arguments)
        #expect(try await process.exitStatus() == 1)
        #expect(process.errorText == "Error: \(sentence)\n")
        #expect(process.outputText.isEmpty)
    }

    static let misuses: [(arguments: [String], sentence: String)] = [
        (["complete", "--key", "k", "--reason", "r"], "Missing expected argument '--status <status>'"),
        (["complete", "--key", "k", "--status", "201"], "Missing expected argument '--reason <reason>'"),
        (["complete", "--status", "201", "--reason", "r"], "Name a record, or a client's key with --key."),
        (["complete", "--key", "k", "--status", "99", "--reason", "r"], "--status goes from 200 to 599."),
        (["complete", "--key", "k", "--status", "201", "--reason", " "], "--reason: say why, for the log."),
        (
            ["complete", "--key", "k", "--status", "201", "--reason", "r", "--body", "b", "--tombstone"],
            "A tombstone has no body."
        ),
        (
            ["complete", "--key", "k", "--status", "201", "--reason", "r", "--body", "b", "--body-file", "f"],
            "Give the body once: with --body or with --body-file."
        ),
        (
            ["release", "--state", "completed"],
            "--state: only records whose outcome is unknown can be released together."
        ),
        (["release", "--state", "unknown", "--key", "k"], "Name a record, or a state, but not both."),
        (["release", "--state", "unknown", "--force"], "--force goes with one record only."),
        (["release", "--key", "k", "--older-than", "1h"], "--older-than goes with --state unknown."),
        (["release"], "Name a record, or a client's key with --key."),
    ]

    @Test("tells how it is used, and touches no store", arguments: misuses.indices)
    func isMisused(index: Int) async throws {
        let (arguments, sentence) = Self.misuses[index]
        let process = try await self.keys(arguments)
        #expect(try await process.exitStatus() == 64)
        #expect(process.errorText.contains("Error: \(sentence)"))
    }
}

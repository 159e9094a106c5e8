import Foundation
import Testing

@Suite("A command that cannot start")
struct StartErrorTests {
    private let directory: CommandProcess.Directory

    init() throws {
        self.directory = try CommandProcess.Directory()
    }

    private static let stores = """
        a store: memory, sqlite:PATH, postgres://HOST/DATABASE, redis://HOST, rediss://HOST, \
        redis+sentinel://HOSTS/NAME, redis+cluster://HOSTS, or redis+unix://PATH
        """

    static let badValues: [(arguments: [String], sentence: String)] = [
        (["--lease", "30"], "--lease: '30' is not a lease of at least 10ms, such as 500ms or 30s."),
        (["--lease", "1ms"], "--lease: '1ms' is not a lease of at least 10ms, such as 500ms or 30s."),
        (["--key-ttl", "0s"], "--key-ttl: '0s' is not a duration above zero, such as 500ms, 30s, 15m, 24h or 7d."),
        (["--wait-timeout=-1s"], "--wait-timeout: '-1s' is not a duration, such as 500ms, 30s, 15m, 24h or 7d."),
        (
            ["--wait-timeout", "99999999999999999d"],
            "--wait-timeout: '99999999999999999d' is not a duration, such as 500ms, 30s, 15m, 24h or 7d."
        ),
        (["--port", "65536"], "--port: '65536' is not a port, a number from 0 to 65535."),
        (["--store", "nowhere"], "--store: this is not \(Self.stores)."),
        (["--store", "sqlite:"], "--store: this is not \(Self.stores)."),
        (["--store", "redis:127.0.0.1"], "--store: this is not \(Self.stores)."),
        (["--store", "redis://a:x"], "--store: The Redis URL has a port that is not a number from 1 to 65535."),
        (["--on-abandoned", "perhaps"], "--on-abandoned: 'perhaps' is not one of rerun, refuse."),
        (
            ["--ledger", "missing/ledger.sqlite"],
            "--ledger: 'missing/ledger.sqlite' cannot be opened: unable to open database file."
        ),
        (
            ["--store", "sqlite:missing/store.sqlite"],
            "--store: The SQLite file cannot be opened: unable to open database file."
        ),
        (["--host", "192.0.2.1"], "Cannot listen on 192.0.2.1:8080: Cannot assign requested address."),
    ]

    @Test("says why in one sentence", arguments: badValues.indices)
    func badValue(index: Int) async throws {
        let (arguments, sentence) = Self.badValues[index]
        let process = try CommandProcess(["demo"] + arguments, in: self.directory)
        #expect(try await process.exitStatus() != 0)
        #expect(process.errorText == "Error: \(sentence)\n")
        #expect(process.outputText.isEmpty)
    }

    @Test(
        "says so if the server of its store is not there",
        arguments: ["redis://127.0.0.1:1", "postgres://127.0.0.1:1/orders"])
    func unreachableStore(store: String) async throws {
        let process = try CommandProcess(["demo", "--store", store], in: self.directory)
        #expect(try await process.exitStatus() != 0)
        #expect(process.errorText.hasPrefix("Error: --store: "))
        #expect(process.errorText.split(separator: "\n").count == 1)
    }

    @Test("says what to install if libpq is not there, and works without it with other stores")
    func missingLibrary() async throws {
        let environment = try self.directory.environmentWithoutLibPQ()
        let process = try CommandProcess(
            ["demo", "--store", "postgres://127.0.0.1:1/orders"], in: self.directory, environment: environment)
        #expect(try await process.exitStatus() != 0)
        #expect(
            process.errorText == """
                Error: --store: PostgreSQL's client library libpq was not found: install libpq5 (Debian, Ubuntu) or libpq \
                (brew).

                """)
        let version = try CommandProcess(["--version"], in: self.directory, environment: environment)
        #expect(try await version.exitStatus() == 0)
    }

    @Test("says so if the port is taken")
    func portInUse() async throws {
        let demo = try await Demo.start(in: self.directory)
        let second = try CommandProcess(["demo", "--port", "\(demo.port)"], in: self.directory)
        #expect(try await second.exitStatus() != 0)
        #expect(second.errorText == "Error: Cannot listen on 127.0.0.1:\(demo.port): Address already in use.\n")
    }

    static let variables = ["PORT", "STORE", "KEY_TTL", "LEASE", "WAIT_TIMEOUT", "ON_ABANDONED"]

    @Test("knows each option from the environment, too", arguments: variables)
    func environment(variable: String) async throws {
        let process = try CommandProcess(["demo"], in: self.directory, environment: ["IDEMPTX_\(variable)": "?"])
        #expect(try await process.exitStatus() != 0)
        #expect(process.errorText.hasPrefix("Error: IDEMPTX_\(variable): "))
        #expect(process.errorText.contains("is not"))
    }

    @Test("goes by a flag before the environment")
    func flagFirst() async throws {
        let process = try CommandProcess(
            ["demo", "--lease", "b"], in: self.directory, environment: ["IDEMPTX_LEASE": "a"])
        #expect(try await process.exitStatus() != 0)
        #expect(process.errorText.hasPrefix("Error: --lease: 'b' is not"))
    }
}

import Foundation
import LibPQ
import PostgresServerTesting
import TestSupport
import Testing

@Suite("The library, and how it is told to connect", .timeLimit(.minutes(10)))
struct SettingsTests {
    private func failure(_ conninfo: String, _ libraryPaths: [String]? = nil) -> PostgresError? {
        _ = Fixture.serviceFile
        var configuration = PostgresConfiguration(conninfo)
        if let libraryPaths { configuration.libraryPaths = libraryPaths }
        do {
            _ = try PostgresClient(configuration)
            return nil
        } catch {
            return error
        }
    }

    @Test("Without libpq, one sentence says what to install")
    func libraryMissing() {
        let error = self.failure("", ["/nowhere/libpq.so.5", "libnothing-of-this-name.so"])
        let sentence =
            "PostgreSQL's client library libpq was not found: install libpq5 (Debian, Ubuntu) or libpq (brew)."
        #expect(error == .libraryMissing(sentence))
        #expect(error.map { "\($0)" } == sentence)
    }

    @Test("Another library is not taken for libpq")
    func otherLibrary() {
        let paths = ["libm.so.6", "/usr/lib/libSystem.B.dylib"]
        guard case .libraryMissing(let sentence) = self.failure("", paths) else {
            Issue.record("It was taken.")
            return
        }
        #expect(sentence.contains("is not PostgreSQL's client library libpq"))
    }

    @Test(
        "A malformed connection string is refused before anything is done",
        arguments: ["host='unclosed", "postgres://[::1/", "nonsense=1", "mysql://host/db", "host=a\0b"])
    func malformed(conninfo: String) {
        guard case .misconfigured(let sentence) = self.failure(conninfo) else {
            Issue.record("It was accepted.")
            return
        }
        #expect(!sentence.contains("\n"))
    }

    @Test(
        "Settings that libpq refuses are told from a server that refuses, without what may be a password",
        arguments: [
            "postgres://me:12345678/db", "postgres://127.0.0.1:0/db", "postgres:///db?host=127.0.0.1&port=12345678%20x",
            "postgres:///db?host=127.0.0.1,127.0.0.1&port=12345678x,1", "host=a,b port=1,2,3", "sslmode=bogus",
            "gssencmode=bogus", "target_session_attrs=bogus", "service=of-no-file",
        ])
    func refused(conninfo: String) async throws {
        try await Fixture.withClient(conninfo) { client in
            let error = await Fixture.error { try await client.query("SELECT 1") }
            guard case .settingsRefused(let sentence) = error else {
                Issue.record("\(conninfo): \(String(describing: error))")
                return
            }
            #expect(!sentence.contains("12345678"))
        }
    }

    @Test(
        "Settings that libpq refuses while it connects are a matter of settings, too",
        arguments: ["connect_timeout=12345678x", "keepalives=12345678x"])
    func refusedLate(setting: String) async throws {
        try await Fixture.withDatabase { _, database in
            try await Fixture.withClient(database.conninfo(setting)) { client in
                let error = await Fixture.error { try await client.query("SELECT 1") }
                guard case .misconfigured(let sentence) = error else {
                    Issue.record("\(String(describing: error))")
                    return
                }
                #expect(!sentence.contains("12345678"))
            }
        }
    }

    @Test(
        "What is malformed is told without the password",
        arguments: [
            "postgres://me:sesame@[::1/", "password=sesame sesame", "host=x password='sesame", "sesame=x password=y",
            "postgres://me:sesame%zz@\u{301}host/db", "postgres://me:\u{301}sesame%zz@host/db",
            "postgres://me:a\"sesame\"%zz@host/db", "postgres://me:a\" sesame \"%zz@host/db",
            "postgres://me:sesame/b@host/db", "postgres://me:a@sesame@host/db", "postgres://me:sesame127.0.0.1:1/db",
            "postgres://me:sesame", "postgres://me:sesame/db", "postgres://me:@sesame@host",
            "postgres://sesame/@host/db",
            "postgres://host:1;password=sesame/db", "postgres://host/db;password=sesame", "postgres://host/db#sesame",
            "postgres://host/db&password=sesame", "postgres://me:sesame%00host:1/0",
            "postgres://h/db?user=me&pasword=sesame%zz", "postgres://h/db?user=me&pass%77ord=sesame%zz",
            "postgres://me%3Asesame%zz/db", "postgres://me%3Asesame%40host/db", "postgres://me%3asesame:x@host/db",
        ])
    func secrets(conninfo: String) {
        guard case .misconfigured(let sentence) = self.failure(conninfo) else {
            Issue.record("It was accepted.")
            return
        }
        #expect(!sentence.contains("sesame"))
    }

    @Test(
        "A URL with whatever libpq permits is understood",
        arguments: [
            "postgres://", "postgres:///db", "postgresql://me@/db", "postgres://me:p%40%2F@a,b:5433,[::1]:5434/my-db",
            "postgres://%2Frun%2Fpostgresql/db?user=me", "postgres:///db?host=/run&port=1&password=a@b",
            "postgres://me:a?b#c=d&e@my_host.test:5432/db?sslmode=require", "postgres://[fe80::1%25eth0]/",
            "postgres://h?", "host=a,b port=,5433", "sslmode=prefer port=' 1 '", "host=a,b port='1, 2'",
            "postgres://a,b:70000/db", "postgres://%40idemptx/db",
            "postgres://user%40azure:p@host/db",
        ])
    func understood(url: String) {
        #expect(self.failure(url) == nil)
    }

    @Test("URLs and strings are both understood")
    func forms() async throws {
        try await Fixture.withDatabase { _, database in
            for conninfo in [
                database.url, database.url.replacing("postgres://", with: "postgresql://"), database.conninfo(),
            ] {
                try await Fixture.withClient(conninfo, { $0.applicationName = "own name" }) { client in
                    let row = try await client.query(
                        "SELECT current_database(), current_setting('application_name'), current_setting('client_encoding')"
                    ).first
                    #expect(try row?.text(0) == database.name)
                    #expect(try row?.text(1) == "own name")
                    #expect(try row?.text(2) == "UTF8")
                }
            }
            let named = database.conninfo("application_name=theirs client_encoding=LATIN1")
            try await Fixture.withClient(named, { $0.applicationName = "own name" }) { client in
                let row = try await client.query("SELECT current_setting('application_name'), 'ü'").first
                #expect(try row?.text(0) == "theirs")
                #expect(try row?.text(1) == "ü")
            }
        }
    }

    @Test("A service of the service file is found, and the environment is heard")
    func environment() async throws {
        try await Fixture.withDatabase { client, database in
            #expect(try await client.query("SHOW TimeZone").first?.text(0) == Fixture.timeZone)
            let settings = database.conninfo("application_name=of-the-service").split(separator: " ").joined(
                separator: "\n")
            try "[orders]\n\(settings)\n".write(to: Fixture.serviceFile, atomically: true, encoding: .utf8)
            try await Fixture.withClient("service=orders") { client in
                let row = try await client.query("SELECT current_database(), current_setting('application_name')").first
                #expect(try row?.text(0) == database.name)
                #expect(try row?.text(1) == "of-the-service")
            }
            try FileManager.default.removeItem(at: Fixture.serviceFile)
        }
    }

    @Test("A wrong or missing password, role or database is a matter of settings")
    func access() async throws {
        var options = PostgresServerOptions()
        options.password = "right"
        try await Fixture.withServer(options) { server in
            try await Fixture.withClient(server.conninfo()) { client in
                let value = try await client.integer("SELECT 1")
                #expect(value == 1)
            }
            let address = "host=127.0.0.1 port=\(server.port) passfile=/nowhere"
            for conninfo in [
                "\(address) user=postgres password=wrong", "\(address) user=postgres",
                server.conninfo("dbname=missing"),
                "\(address) user=nobody-of-this-name password=right",
            ] {
                try await Fixture.withClient(conninfo) { client in
                    let error = await Fixture.error { try await client.query("SELECT 1") }
                    guard case .misconfigured(let sentence) = error else {
                        Issue.record("\(conninfo): \(String(describing: error))")
                        return
                    }
                    #expect(!sentence.contains("wrong") && !sentence.contains("right"))
                    // Neither does a transaction wait for what does not get better by itself.
                    let other = await Fixture.error {
                        try await client.withTransaction { try await $0.query("SELECT 1") }
                    }
                    #expect(other?.mayHaveHappened == false)
                }
            }
        }
    }

    @Test("TLS is used, asked for and verified as sslmode says")
    func tls() async throws {
        try await TestCertificates.with { certificates in
            var options = PostgresServerOptions()
            options.certificates = certificates
            options.requiresTLS = true
            try await Fixture.withServer(options) { server in
                for mode in ["require", "verify-full sslrootcert=\(certificates.authority)"] {
                    try await Fixture.withClient(server.conninfo("sslmode=\(mode)")) { client in
                        let usage = try await client.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
                        #expect(try usage.first?.boolean(0) == true)
                        let bytes = [UInt8](repeating: 7, count: 1 << 20)
                        #expect(try await client.query("SELECT $1::bytea", [.bytes(bytes)]).first?.bytes(0) == bytes)
                    }
                }
                try await Fixture.withClient(server.conninfo("sslmode=disable")) { client in
                    let error = await Fixture.error { try await client.query("SELECT 1") }
                    guard case .misconfigured = error else {
                        Issue.record("\(String(describing: error))")
                        return
                    }
                }
                let other = certificates.client.certificate
                try await Fixture.withClient(server.conninfo("sslmode=verify-full sslrootcert=\(other)")) { client in
                    let error = await Fixture.error { try await client.query("SELECT 1") }
                    guard case .misconfigured = error else {
                        Issue.record("\(String(describing: error))")
                        return
                    }
                }
            }
        }
    }

    @Test("A server without TLS is not used when TLS is asked for")
    func tlsRequired() async throws {
        try await Fixture.withDatabase { _, database in
            try await Fixture.withClient(database.conninfo("sslmode=require")) { client in
                let error = await Fixture.error { try await client.query("SELECT 1") }
                guard case .misconfigured = error else {
                    Issue.record("\(String(describing: error))")
                    return
                }
            }
        }
    }

    @Test("A server that accepts a connection and says nothing is given up after connect_timeout")
    func connectTimeout() async throws {
        try await Fixture.withServer { server in
            server.pause()
            try await Fixture.withClient(
                server.conninfo(),
                {
                    $0.connectTimeout = .seconds(2)
                    $0.maximumConnectFailures = 1
                }
            ) { client in
                let error = await Fixture.error { try await client.query("SELECT 1") }
                guard case .unavailable(let sentence) = error else {
                    Issue.record("\(String(describing: error))")
                    return
                }
                #expect(sentence.contains("timeout"))
            }
        }
    }
}

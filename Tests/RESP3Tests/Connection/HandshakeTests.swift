import Testing

@testable import RESP3

@Suite("The handshake")
struct HandshakeTests {
    private static let full = Handshake.Settings(
        credentials: Credentials(user: "ann", password: "hunter2"), database: 3, clientName: "me",
        requiresPrimary: true)

    private func words(_ handshake: Handshake) -> [String] {
        handshake.commands.map { $0.words.joined(separator: " ") }
    }

    @Test("sends everything at once, and is over with the last reply")
    func oneWrite() {
        var handshake = Handshake(Self.full)
        #expect(self.words(handshake) == ["HELLO 3 AUTH ann hunter2 SETNAME me", "SELECT 3", "ROLE"])
        #expect(handshake.received(.map([])) == .pending)
        #expect(handshake.received("OK") == .pending)
        #expect(handshake.received(.array(["master", .integer(0)])) == .done)
        #expect(handshake.received("OK") == .failed(.violation("The server sent a reply without a command.")))

        #expect(self.words(Handshake(Handshake.Settings())) == ["HELLO 3"])
        let settings = Handshake.Settings(credentials: Credentials(password: "p"))
        #expect(self.words(Handshake(settings)) == ["HELLO 3 AUTH default p"])
    }

    @Test(
        "is said in RESP2 to a server that knows nothing else",
        arguments: ["ERR unknown command `HELLO`", "NOPROTO no"])
    func fallback(reply: String) {
        var handshake = Handshake(Self.full)
        #expect(handshake.received(.error(ServerError(reply))) == .goOn)
        #expect(self.words(handshake) == ["AUTH ann hunter2", "CLIENT SETNAME me", "SELECT 3", "ROLE"])
        // What was said along with HELLO, before the login.
        #expect(handshake.received(.error(ServerError("NOAUTH Authentication required."))) == .pending)
        #expect(handshake.received(.error(ServerError("NOAUTH Authentication required."))) == .pending)
        #expect(handshake.received("OK") == .pending)
        #expect(handshake.received(.error(ServerError("ERR unknown subcommand"))) == .pending)
        #expect(handshake.received("OK") == .pending)
        #expect(handshake.received(.array(["master"])) == .done)

        var bare = Handshake(Handshake.Settings())
        #expect(bare.received(.error(ServerError(reply))) == .done)

        var anonymous = Handshake(Handshake.Settings(credentials: Credentials(password: "p")))
        #expect(anonymous.received(.error(ServerError(reply))) == .goOn)
        #expect(self.words(anonymous) == ["AUTH p"])
        guard case .failed(.refused) = anonymous.received(.error(ServerError("ERR invalid password"))) else {
            Issue.record("A wrong password is not refused.")
            return
        }
    }

    @Test(
        "fails for good where a retry cannot succeed, and never quotes the password",
        arguments: [
            (0, "WRONGPASS invalid username-password pair or user is disabled."),
            (0, "NOAUTH HELLO must be called with the client already authenticated"),
            (0, "DENIED Redis is running in protected mode"),
            (1, "ERR DB index is out of range"), (1, "NOPERM no permissions to run 'select'"),
            (2, "NOPERM no permissions to run 'role'"),
        ])
    func refusal(position: Int, reply: String) {
        var handshake = Handshake(Self.full)
        for _ in 0..<position { #expect(handshake.received("OK") == .pending) }
        guard case .failed(let end) = handshake.received(.error(ServerError(reply))) else {
            Issue.record("It did not fail.")
            return
        }
        #expect(end.isLasting)
        #expect(!"\(end.errorBeforeSending)".contains("hunter2"))
    }

    @Test("names the command that the user may not use")
    func permissions() {
        for (position, name) in ["HELLO", "SELECT", "ROLE"].enumerated() {
            var handshake = Handshake(Self.full)
            for _ in 0..<position { #expect(handshake.received("OK") == .pending) }
            let outcome = handshake.received(.error(ServerError("NOPERM User ann has no permissions")))
            #expect(outcome == .failed(.refused("The user has no permission for \(name).")))
        }
    }

    @Test(
        "fails for now where another try may succeed",
        arguments: [
            (0, RESPValue.error(ServerError("ERR max number of clients reached"))),
            (0, .error(ServerError("ERR hunter2 is odd"))),
            (1, .error(ServerError("LOADING Redis is loading the dataset in memory"))),
            (2, .array(["slave", "10.0.0.1", .integer(1)])),
        ])
    func failure(position: Int, reply: RESPValue) {
        var handshake = Handshake(Self.full)
        for _ in 0..<position { #expect(handshake.received("OK") == .pending) }
        guard case .failed(let end) = handshake.received(reply) else {
            Issue.record("It did not fail.")
            return
        }
        #expect(!end.isLasting)
        #expect(!"\(end.errorBeforeSending)".contains("hunter2"))
    }
}

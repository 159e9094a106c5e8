/// The first words on a connection, from this side all in one write.
///
/// It asks for RESP3. A server that does not know it is asked again in the words of RESP2.
struct Handshake {
    struct Settings: Sendable {
        var credentials: Credentials?
        var database = 0
        var clientName: String?
        /// Whether a server that is a replica will not do.
        var requiresPrimary = false
    }

    enum Outcome: Hashable {
        case pending
        case done
        case failed(ConnectionEnd)
        /// Say this too.
        case goOn
    }

    /// The steps, each named after its command.
    private enum Step: String {
        case hello = "HELLO"
        case authenticate = "AUTH"
        case setName = "CLIENT SETNAME"
        case select = "SELECT"
        case role = "ROLE"
        /// Refused: the server does not know RESP3.
        case disregarded = "any of it"
    }

    private let settings: Settings
    private var awaited: [Step] = []
    /// The commands to send now.
    private(set) var commands: [RedisCommand] = []

    init(_ settings: Settings) {
        self.settings = settings
        self.say(.hello, self.hello)
        self.sayRest()
    }

    private var hello: RedisCommand {
        var arguments: [RedisArgument] = ["HELLO", 3]
        if let credentials = self.settings.credentials {
            // RESP2's way to leave the user out is not possible here.
            arguments += ["AUTH", RedisArgument(credentials.user ?? "default"), RedisArgument(credentials.password)]
        }
        if let name = self.settings.clientName { arguments += ["SETNAME", RedisArgument(name)] }
        return RedisCommand(arguments)
    }

    private mutating func sayRest() {
        if self.settings.database != 0 { self.say(.select, ["SELECT", RedisArgument(self.settings.database)]) }
        if self.settings.requiresPrimary { self.say(.role, ["ROLE"]) }
    }

    private mutating func say(_ step: Step, _ command: RedisCommand) {
        self.awaited.append(step)
        self.commands.append(command)
    }

    mutating func received(_ reply: RESPValue) -> Outcome {
        self.commands = []
        guard !self.awaited.isEmpty else {
            return .failed(.violation("The server sent a reply without a command."))
        }
        let step = self.awaited.removeFirst()
        if let error = reply.serverError {
            if step == .hello, error.isUnknownCommand || error.code == "NOPROTO" { return self.fallBack() }
            if let end = self.end(step, error) { return .failed(end) }
        } else if step == .role, reply.elements?.first?.string != "master" {
            // Not a refusal: a failover is under way, and the next attempt may find the primary.
            return .failed(.lost("The server is a replica."))
        }
        return self.awaited.isEmpty ? .done : .pending
    }

    private mutating func fallBack() -> Outcome {
        self.awaited = self.awaited.map { _ in .disregarded }
        if let credentials = self.settings.credentials {
            let arguments = [credentials.user, credentials.password].compactMap { $0 }
            self.say(.authenticate, RedisCommand(["AUTH"] + arguments.map { RedisArgument($0) }))
        }
        if let name = self.settings.clientName { self.say(.setName, ["CLIENT", "SETNAME", RedisArgument(name)]) }
        self.sayRest()
        return self.awaited.isEmpty ? .done : .goOn
    }

    /// What an error means for the connection: nothing, where only a name could not be set.
    private func end(_ step: Step, _ error: ServerError) -> ConnectionEnd? {
        switch (error.code, step) {
        case (_, .disregarded), (_, .setName): nil
        case ("WRONGPASS", _): .refused("The server refused the user name or the password.")
        case ("NOAUTH", _): .refused("The server asks for a password, and none is set.")
        case ("NOPERM", _): .refused("The user has no permission for \(step.rawValue).")
        case ("DENIED", _): .refused("The server only lets clients of its own host in: it is in protected mode.")
        case (_, .authenticate): .refused("The server refused to log in: \(self.redacted(error)).")
        case ("ERR", .select): .refused("The server refused database \(self.settings.database): \(error.message).")
        default: .lost("The server replied to the greeting with an error: \(self.redacted(error)).")
        }
    }

    /// No server quotes a password; but should one do so, it goes no further.
    private func redacted(_ error: ServerError) -> String {
        guard let password = self.settings.credentials?.password, error.message.utf8.contains(password.utf8)
        else {
            return "\(error)"
        }
        return error.code
    }
}

/// The parts of a URL, taken apart but not yet understood.
///
/// Not done by a general parser of URLs, since several hosts may be separated by commas.
struct RedisURL {
    let scheme: String
    /// Still percent-encoded: `user:password`.
    let userInfo: Substring?
    /// Still to be split at the commas.
    let hosts: Substring
    /// Without its leading slash, and still percent-encoded.
    let path: Substring
    let query: [String: String]

    init(_ text: String) throws(InvalidRedisURL) {
        guard let separator = text.firstRange(of: "://") else {
            throw InvalidRedisURL("A Redis URL begins with a scheme such as redis://.")
        }
        self.scheme = text[..<separator.lowerBound].lowercased()
        let (hierarchy, query) = text[separator.upperBound...].split(atFirst: "?")
        let (authority, path) = hierarchy.split(atFirst: "/")
        // A careless password may hold an @ itself.
        let at = authority.unicodeScalars.lastIndex(of: "@")
        self.userInfo = at.map { authority[..<$0] }
        self.hosts = at.map { authority[authority.unicodeScalars.index(after: $0)...] } ?? authority
        self.path = path ?? ""
        self.query = try Self.parameters(query ?? "")
    }

    private static func parameters(_ query: Substring) throws(InvalidRedisURL) -> [String: String] {
        var parameters: [String: String] = [:]
        for item in query.unicodeScalars.split(separator: "&").map({ Substring($0) }) {
            let (name, value) = item.split(atFirst: "=")
            guard parameters[String(name)] == nil else {
                // Its name may be the rest of a password that holds an unescaped question mark.
                throw InvalidRedisURL("The Redis URL has an option twice.")
            }
            parameters[String(name)] = try PercentEncoding.decode(value ?? "", of: "option")
        }
        return parameters
    }

    func credentials() throws(InvalidRedisURL) -> Credentials? {
        guard let userInfo = self.userInfo else { return nil }
        let (user, password) = userInfo.split(atFirst: ":")
        guard let password, !password.isEmpty else {
            throw InvalidRedisURL("The Redis URL has a user but no password; write it as user:password@host.")
        }
        return Credentials(
            user: user.isEmpty ? nil : try PercentEncoding.decode(user, of: "user name"),
            password: try PercentEncoding.decode(password, of: "password"))
    }

    func addresses(defaultPort: Int) throws(InvalidRedisURL) -> [NodeAddress] {
        var addresses: [NodeAddress] = []
        for host in self.hosts.unicodeScalars.split(separator: ",", omittingEmptySubsequences: false) {
            addresses.append(try Self.address(Substring(host), defaultPort: defaultPort))
        }
        return addresses
    }

    private static func address(_ text: Substring, defaultPort: Int) throws(InvalidRedisURL) -> NodeAddress {
        var host = text
        var port: Substring?
        if text.hasPrefix("[") {
            guard let end = text.lastIndex(of: "]") else {
                throw InvalidRedisURL("The Redis URL has an IPv6 address without its closing bracket.")
            }
            let rest = text[text.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":") else {
                throw InvalidRedisURL("The Redis URL has something between an IPv6 address and its port.")
            }
            host = text[text.index(after: text.startIndex)..<end]
            port = rest.isEmpty ? nil : rest.dropFirst()
        } else {
            (host, port) = text.split(atFirst: ":")
        }
        guard !host.isEmpty else { throw InvalidRedisURL("The Redis URL lacks a host.") }
        // A separator that was mistyped would make a password part of the host, which is shown.
        let isHost = text.first == "[" ? Self.isIPv6Character : Self.isHostCharacter
        guard host.unicodeScalars.allSatisfy(isHost) else {
            throw InvalidRedisURL("The Redis URL has a host with a character that no name of a host has.")
        }
        guard let port else { return .tcp(host: String(host), port: defaultPort) }
        guard let number = UInt16(port), number > 0 else {
            throw InvalidRedisURL("The Redis URL has a port that is not a number from 1 to 65535.")
        }
        return .tcp(host: String(host), port: Int(number))
    }

    private static func isHostCharacter(_ scalar: Unicode.Scalar) -> Bool {
        scalar.isASCII
            && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) || "-._".unicodeScalars.contains(scalar))
    }

    /// A zone may follow the address (RFC 4007, section 11).
    private static func isIPv6Character(_ scalar: Unicode.Scalar) -> Bool {
        self.isHostCharacter(scalar) || ":%".unicodeScalars.contains(scalar)
    }
}

extension Substring {
    /// What is before the first such character, and what is after it; `nil` if there is none.
    ///
    /// Also one that a combining mark follows, which to Swift is another character.
    fileprivate func split(atFirst separator: Unicode.Scalar) -> (Substring, Substring?) {
        guard let index = self.unicodeScalars.firstIndex(of: separator) else { return (self, nil) }
        return (self[..<index], self[self.unicodeScalars.index(after: index)...])
    }
}

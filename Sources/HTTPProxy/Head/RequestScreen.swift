import NIOHPACK
import NIOHTTP1

/// Looks whether a request can be forwarded without changing what it means: two readers must not take it for two requests
/// (RFC 9112, sections 3.2, 6.1 and 11.2).
///
/// The parser has seen to the rest: names are tokens, values have no control characters, there is one length at most, and
/// none besides chunks.
struct RequestScreen {
    /// The largest body, in bytes.
    var maxBodySize = Int.max
    var maxHeaderCount = Int.max
    /// This proxy's name in `Via`.
    var pseudonym: String

    // MARK: HTTP/1

    /// - Throws: Why the request is refused.
    func screen(_ head: HTTPRequestHead) throws(ProxyFailure) -> RequestHead {
        let version: RequestHead.Version = head.version.minor == 0 ? .http10 : .http11
        // SwiftNIO misspells this one.
        let method = head.method == .MSEARCH ? "M-SEARCH" : head.method.rawValue
        guard method != "CONNECT" else { throw .notSupported }
        var facts = Facts()
        for (name, value) in head.headers { try facts.add(name, value) }
        guard facts.hostCount == 1 || (facts.hostCount == 0 && version == .http10) else { throw .badRequest }
        let target = try Self.target(head.uri, method: method)
        let authority = target.authority ?? facts.host
        if let host = facts.host { try Self.check(authority: host) }
        if let authority = target.authority { try Self.check(authority: authority) }
        guard facts.transferEncoding == nil || version == .http11 else { throw .badRequest }
        return try self.head(version, method, target.path, authority, head.headers, facts)
    }

    // MARK: HTTP/2

    /// - Throws: Why the request is refused.
    func screen(_ headers: HPACKHeaders, endsStream: Bool) throws(ProxyFailure) -> RequestHead {
        var (method, target, authority, scheme): (String?, String?, String?, String?) = (nil, nil, nil, nil)
        var (facts, fields, cookie): (Facts, HTTPHeaders, String?) = (Facts(), HTTPHeaders(), nil)
        fields.reserveCapacity(headers.count)
        for (name, value, _) in headers {
            switch name {
            case ":method": try Self.set(&method, to: value, facts)
            case ":path": try Self.set(&target, to: value, facts)
            case ":authority": try Self.set(&authority, to: value, facts)
            // Spoken over TLS only; what a client says of that is not what there is.
            case ":scheme": try Self.set(&scheme, to: value, facts)
            case "cookie":
                facts.count += 1
                try Facts.checkEncoding(of: value)
                // It may be taken apart (RFC 9113, section 8.2.3).
                cookie = cookie.map { "\($0); \(value)" } ?? value
            default:
                guard Self.isProper(name), Self.isProper(value: value) else { throw .badRequest }
                // Any other value is of a connection (section 8.2.2).
                guard name != "te" || value.lowercased() == "trailers" else { throw .badRequest }
                try facts.add(name, value)
                switch FieldKind(name.utf8) {
                // Said by `:authority`.
                case .host: continue
                // There are none of a connection (section 8.2.2).
                case .connection, .keepAlive, .proxyConnection, .upgrade, .transferEncoding: throw .badRequest
                default: fields.add(name: name, value: value)
                }
            }
        }
        if let cookie {
            guard cookie.utf8.allSatisfy(\.isFieldCharacter) else { throw .badRequest }
            fields.add(name: "cookie", value: cookie)
        }
        guard let method, method != "CONNECT" else { throw method == nil ? .badRequest : .notSupported }
        guard scheme != nil else { throw .badRequest }
        guard !method.isEmpty, method.utf8.allSatisfy(\.isTokenCharacter), let target else { throw .badRequest }
        // Methods are case-sensitive: `post` is not POST, though it could be for an upstream. HTTP/1's parser knows none
        // such either.
        guard !method.utf8.contains(where: { (0x61...0x7A).contains($0) }) else { throw .notSupported }
        let asked = authority ?? facts.host ?? ""
        // As two different hosts are, or none (section 8.3.1).
        guard !asked.isEmpty, facts.hostCount == 1 || (facts.hostCount == 0 && authority != nil),
            facts.host?.utf8.equalsLowercased(asked.lowercased()) != false
        else { throw .badRequest }
        try Self.check(authority: asked)
        facts.isDelimited = !endsStream
        guard target.hasPrefix("/") || target == "*" else { throw .badRequest }
        return try self.head(.http2, method, try Self.target(target, method: method).path, asked, fields, facts)
    }

    /// Takes a pseudo-header field, which comes once and before all others (RFC 9113, section 8.3).
    private static func set(_ field: inout String?, to value: String, _ facts: Facts) throws(ProxyFailure) {
        guard field == nil, facts.count == 0 else { throw .badRequest }
        field = value
    }

    /// Whether `name` is a valid field name of HTTP/2 (RFC 9113, section 8.2.1).
    private static func isProper(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.allSatisfy { $0.isTokenCharacter && $0 == $0.lowercasedASCII }
    }

    /// Whether `value` is a valid field value of HTTP/2 (RFC 9113, section 8.2.1).
    private static func isProper(value: String) -> Bool {
        let isSpace = { (byte: UInt8?) in byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
        return !isSpace(value.utf8.first) && !isSpace(value.utf8.last) && value.utf8.allSatisfy(\.isFieldCharacter)
    }

    /// Checks trailers of HTTP/2, which SwiftNIO does not validate here (RFC 9113, section 8.1).
    ///
    /// - Throws: Why the request is refused.
    func screen(trailers: HPACKHeaders) throws(ProxyFailure) -> Trailers {
        guard trailers.allSatisfy({ Self.isProper($0.name) && Self.isProper(value: $0.value) })
        else { throw .badRequest }
        return try self.screen(trailers.map { ($0.name, $0.value) })
    }

    // MARK: Both

    /// Checks the values of trailers, whose names are valid.
    ///
    /// - Throws: Why the request is refused.
    func screen(_ trailers: Trailers) throws(ProxyFailure) -> Trailers {
        guard trailers.count <= self.maxHeaderCount else { throw .headerTooLarge }
        for (_, value) in trailers {
            guard value.utf8.allSatisfy(\.isFieldCharacter) else { throw .badRequest }
            try Facts.checkEncoding(of: value)
        }
        return trailers
    }

    private func head(
        _ version: RequestHead.Version, _ method: String, _ target: String, _ authority: String?,
        _ fields: HTTPHeaders, _ facts: Facts
    ) throws(ProxyFailure) -> RequestHead {
        guard facts.count <= self.maxHeaderCount else { throw .headerTooLarge }
        let body: BodyFraming =
            if let length = facts.length {
                length == 0 ? .none : .length(length)
            } else {
                facts.transferEncoding != nil || facts.isDelimited ? .chunked : .none
            }
        // A body of a TRACE request would be taken for another request (RFC 9110, section 9.3.8).
        guard method != "TRACE" || body == .none else { throw .badRequest }
        if case .length(let length) = body, length > self.maxBodySize { throw .requestTooLarge }
        if facts.via.contains(where: { self.isOwn($0) }) { throw .loopDetected }
        let isBounded = method == "OPTIONS" || method == "TRACE"
        return RequestHead(
            version: version, method: method, target: target, authority: authority, fields: fields, body: body,
            connectionOptions: facts.connectionOptions,
            // The rest of a body would be read as the first bytes of the new protocol.
            upgrade: version == .http11 && facts.asksForUpgrade && body == .none
                ? facts.upgrade.flatMap(Self.passable) : nil,
            pausesParser: facts.asksForUpgrade && facts.upgrade != nil,
            expectsContinue: version != .http10 && facts.expectsContinue && body != .none,
            maxForwards: isBounded ? facts.maxForwards : nil)
    }

    /// The protocol to ask the upstream for: any but HTTP/2, which the upstream would speak to the wrong one.
    private static func passable(_ upgrade: String) -> String? {
        upgrade.listElements.contains { $0.hasPrefix("h2c") } ? nil : upgrade
    }

    /// Whether a value of `Via` has passed here before.
    private func isOwn(_ via: String) -> Bool {
        via.listElements.contains {
            $0.split(separator: " ").dropFirst().first.map(String.init) == self.pseudonym.lowercased()
        }
    }

    /// What the fields say together.
    private struct Facts {
        var count = 0
        var host: String?
        var hostCount = 0
        var length: Int?
        var transferEncoding: String?
        var isDelimited = false
        var upgrade: String?
        var asksForUpgrade = false
        var expectsContinue = false
        var maxForwards: Int?
        var via: [String] = []
        var connectionOptions: [String] = []

        @inline(__always)
        mutating func add(_ name: String, _ value: String) throws(ProxyFailure) {
            self.count += 1
            try Self.checkEncoding(of: value)
            switch FieldKind(name.utf8) {
            case .host:
                self.host = value.trimmed
                self.hostCount += 1
            case .contentLength:
                guard self.length == nil, let length = value.trimmed.asDigits else { throw .badRequest }
                self.length = length
            case .transferEncoding:
                guard self.transferEncoding == nil, value.trimmed.utf8.equalsLowercased("chunked") else {
                    throw .badRequest
                }
                self.transferEncoding = value
            case .connection:
                self.connectionOptions += value.listElements
                self.asksForUpgrade = self.connectionOptions.contains("upgrade")
            case .upgrade: self.upgrade = value
            case .expect: self.expectsContinue = value.utf8.equalsLowercased("100-continue")
            case .maxForwards: self.maxForwards = value.trimmed.asDigits
            case .via: self.via.append(value)
            default: break
            }
        }

        /// Bytes that are no UTF-8 have been replaced by now: two different values would be one.
        @inline(__always)
        static func checkEncoding(of value: String) throws(ProxyFailure) {
            if value.utf8.contains(0xEF), value.unicodeScalars.contains("\u{FFFD}") { throw .badRequest }
        }
    }

    /// The target of a request (RFC 9112, section 3.2), without a fragment, which nobody may send.
    private static func target(
        _ text: String, method: String
    ) throws(ProxyFailure) -> (path: String, authority: String?) {
        // With a space in it, it would be two things.
        guard text.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "#") }) else { throw .badRequest }
        if text.utf8.first == UInt8(ascii: "/") || (text == "*" && method == "OPTIONS") { return (text, nil) }
        guard let scheme = ["http://", "https://"].first(where: { text.prefix($0.count).lowercased() == $0 }) else {
            throw .badRequest
        }
        let rest = text.dropFirst(scheme.count)
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        guard !authority.isEmpty else { throw .badRequest }
        let path = rest[authority.endIndex...]
        // Of the origin form, the path is never empty (section 3.2.1); that of OPTIONS without one is the asterisk (3.2.4).
        let origin = path.hasPrefix("/") ? String(path) : path.isEmpty && method == "OPTIONS" ? "*" : "/\(path)"
        return (origin, String(authority))
    }

    /// Looks whether this is a host, and a port perhaps (RFC 3986, section 3.2), without a user.
    private static func check(authority: String) throws(ProxyFailure) {
        var host = authority.utf8[...]
        if host.first == UInt8(ascii: "[") {
            guard let end = host.firstIndex(of: UInt8(ascii: "]")) else { throw .badRequest }
            let inside = host[host.index(after: host.startIndex)..<end]
            guard !inside.isEmpty, inside.allSatisfy({ $0.isTokenCharacter || $0 == UInt8(ascii: ":") }) else {
                throw .badRequest
            }
            host = host[host.index(after: end)...]
            guard host.isEmpty || host.first == UInt8(ascii: ":") else { throw .badRequest }
        } else {
            host = host.drop(while: Self.isHostCharacter)
        }
        guard !host.isEmpty else { return }
        guard host.removeFirst() == UInt8(ascii: ":"), host.allSatisfy({ (0x30...0x39).contains($0) }),
            host.isEmpty || Int(Substring(host)).map({ $0 <= 65_535 }) == true
        else { throw .badRequest }
    }

    private static func isHostCharacter(_ byte: UInt8) -> Bool {
        byte.isTokenCharacter ? !"#^`|".utf8.contains(byte) : "();=,".utf8.contains(byte)
    }
}

/// What libpq is told about every connection.
struct ConnectionSettings: Sendable {
    private let conninfo: String
    private let applicationName: String
    /// In seconds; `nil` if libpq knows one from elsewhere.
    private let connectTimeout: Int?

    /// Looks at the settings without connecting.
    ///
    /// - Throws: ``PostgresError/misconfigured(_:)`` if the connection string is malformed.
    init(_ configuration: PostgresConfiguration, _ pq: PQFunctions) throws(PostgresError) {
        if configuration.conninfo.utf8.contains(0) {
            throw .misconfigured("The connection string has a zero byte in it.")
        }
        if let flaw = ConnectionURL.flaw(in: configuration.conninfo) {
            throw .misconfigured("The connection string is malformed: \(flaw).")
        }
        try Self.check(configuration.conninfo, pq)
        self.conninfo = configuration.conninfo
        self.applicationName = configuration.applicationName
        let isSet = Self.hasConnectTimeout(configuration.conninfo, pq)
        self.connectTimeout = isSet ? nil : Self.seconds(configuration.connectTimeout)
    }

    /// The names and values, of which the later win.
    var parameters: [(name: String, value: String)] {
        var parameters = [("fallback_application_name", self.applicationName)]
        // It stands where a value of the connection string would win over it.
        if let connectTimeout = self.connectTimeout { parameters.append(("connect_timeout", "\(connectTimeout)")) }
        return parameters + [("dbname", self.conninfo), ("client_encoding", "UTF8")]
    }

    private static func seconds(_ duration: Duration) -> Int {
        let (seconds, rest) = duration.components
        return max(2, Int(clamping: min(seconds, 1 << 30)) + (rest > 0 ? 1 : 0))
    }

    private static func check(_ conninfo: String, _ pq: PQFunctions) throws(PostgresError) {
        var message: UnsafeMutablePointer<CChar>?
        // Only a URL or a string with an equals sign is one for libpq when it connects; all else is the name of a database.
        let isString = conninfo.utf8.contains(UInt8(ascii: "=")) || conninfo.utf8.contains("://".utf8)
        let text = isString ? conninfo : ""
        if let options = unsafe pq.conninfoParse(text, &message) { return unsafe pq.conninfoFree(options) }
        defer { unsafe pq.freemem(message) }
        let sentence = unsafe pq.sentence(message)
        throw .misconfigured("The connection string is malformed: \(Self.hidingSecrets(sentence, of: conninfo)).")
    }

    /// libpq quotes what it does not understand, which may be a part of a password.
    private static func hidingSecrets(_ sentence: String, of conninfo: String) -> String {
        // Byte by byte: to Swift, a character that a combining mark follows is another one.
        let hasSecret =
            conninfo.utf8.contains(UInt8(ascii: "@")) || conninfo.utf8.contains("password".utf8)
            || sentence.utf8.contains("invalid percent-encoded token".utf8)
        let quote = UInt8(ascii: "\"")
        // A password may have quotes in it, too: nothing between the first and the last of them is shown.
        guard hasSecret, let first = sentence.utf8.firstIndex(of: quote), let last = sentence.utf8.lastIndex(of: quote),
            first < last
        else { return sentence }
        return "\(sentence[...first])…\(sentence[last...])"
    }

    /// Whether the string, the environment or a service file sets `connect_timeout`.
    ///
    /// Asked by a connection that libpq refuses to make because of another setting, once it has gathered all of them:
    /// nothing else in libpq tells what a service file says.
    private static func hasConnectTimeout(_ conninfo: String, _ pq: PQFunctions) -> Bool {
        let connection = unsafe pq.withParameters([("dbname", conninfo), ("sslmode", "ask-for-settings-only")]) {
            unsafe pq.connectStartParams($0, $1, 1)
        }
        guard let connection = unsafe connection else { return false }
        defer { unsafe pq.finish(connection) }
        return unsafe pq.value(of: "connect_timeout", at: connection) != nil
    }
}

extension PQFunctions {
    /// A message of libpq, which has line breaks at its end and sometimes inside, as one line, without its hints.
    func sentence(_ message: UnsafePointer<CChar>?) -> String {
        guard let message = unsafe message else { return "unknown" }
        let lines = unsafe String(cString: message).split(whereSeparator: \.isNewline)
        let line = lines.filter { !$0.hasPrefix("\t") }.joined(separator: " ")
        return line.hasSuffix(".") ? String(line.dropLast()) : line
    }

    func sentence(_ message: UnsafeMutablePointer<CChar>?) -> String {
        unsafe self.sentence(UnsafePointer(message))
    }

    /// Lends the two lists, each ended by a null pointer, that libpq takes settings in.
    func withParameters<Result>(
        _ parameters: [(name: String, value: String)],
        _ body: (UnsafePointer<CString?>, UnsafePointer<CString?>) -> Result
    ) -> Result {
        // All strings one behind the other, each with a zero at its end.
        var bytes: [CChar] = []
        let starts = parameters.flatMap { [$0.name, $0.value] }.map { text in
            defer { bytes += text.utf8CString }
            return bytes.count
        }
        return unsafe bytes.withUnsafeBufferPointer { buffer in
            let pointers = unsafe starts.map { start in unsafe buffer.baseAddress.map { unsafe $0 + start } }
            let names = unsafe stride(from: 0, to: pointers.count, by: 2).map { unsafe pointers[$0] } + [nil]
            let values = unsafe stride(from: 1, to: pointers.count, by: 2).map { unsafe pointers[$0] } + [nil]
            return unsafe body(names, values)
        }
    }

    /// The value of a setting that a connection was or would be made with.
    fileprivate func value(of name: String, at connection: OpaquePointer) -> String? {
        guard let options = unsafe self.conninfo(connection) else { return nil }
        defer { unsafe self.conninfoFree(options) }
        // Of each: keyword, environment variable, compiled default, value, label, display character, display size.
        let pointer = unsafe MemoryLayout<CString?>.stride
        var option = UnsafeRawPointer(options)
        while let keyword = unsafe option.load(as: CString?.self) {
            if unsafe String(cString: keyword) == name {
                return unsafe option.load(fromByteOffset: 3 * pointer, as: CString?.self).map {
                    unsafe String(cString: $0)
                }
            }
            unsafe option += 7 * pointer
        }
        return nil
    }
}

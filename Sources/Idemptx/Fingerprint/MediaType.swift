/// The parsed value of a `Content-Type` header (RFC 9110, section 8.3.1).
struct MediaType: Equatable, Sendable {
    struct Parameter: Equatable, Sendable {
        let name: String
        let value: String
    }

    /// Type and subtype in lower case, such as `application/json`.
    let essence: String
    /// The parameters in the order of the header, their names in lower case.
    let parameters: [Parameter]

    init?(_ text: String) {
        // Spares most requests the parser.
        switch text {
        case "application/json", "application/json; charset=utf-8", "application/json;charset=UTF-8":
            self = .json
            return
        default: break
        }
        var scanner = Scanner(rest: text[...].utf8)
        guard let type = scanner.token(), scanner.skip("/"), let subtype = scanner.token() else { return nil }
        self.essence = "\(type)/\(subtype)".lowercased()
        guard let parameters = scanner.parameters() else { return nil }
        self.parameters = parameters
    }

    private init(essence: String) {
        self.essence = essence
        self.parameters = []
    }

    private static let json = MediaType(essence: "application/json")

    /// The parameters of a `Content-Disposition` (RFC 6266, section 4.1), which look like those of a media type.
    static func parameters(ofDisposition text: String) -> [Parameter]? {
        var scanner = Scanner(rest: text[...].utf8)
        return scanner.token() == nil ? nil : scanner.parameters()
    }

    /// The value of a parameter, by its name in lower case.
    subscript(name: String) -> String? {
        self.parameters.first { $0.name == name }?.value
    }

    var isJSON: Bool {
        self.essence == "application/json" || self.essence == "text/json" || self.essence.hasSuffix("+json")
    }

    var isURLEncodedForm: Bool { self.essence == "application/x-www-form-urlencoded" }

    var isMultipartForm: Bool { self.essence == "multipart/form-data" }

    var isMultipart: Bool { self.essence.hasPrefix("multipart/") }

    /// A text that is equal for two media types if they mean the same to a fingerprint, and for no two others.
    ///
    /// JSON has no parameters (RFC 8259, section 11), and the boundary of a multipart body says nothing.
    var comparable: String {
        let significant = self.isJSON ? [] : self.parameters.filter { $0.name != "boundary" || !self.isMultipart }
        return significant.sorted { $0.name < $1.name }
            .reduce(self.essence) { "\($0);\($1.name)=\(Self.quoted($1.value))" }
    }

    /// A quoted string (RFC 9110, section 5.6.4): byte by byte, since a mark behind a quote would make it another character.
    private static func quoted(_ value: String) -> String {
        let escaped = value.utf8.flatMap { "\"\\".utf8.contains($0) ? [UInt8(ascii: "\\"), $0] : [$0] }
        return "\"\(String(decoding: escaped, as: UTF8.self))\""
    }
}

private struct Scanner {
    var rest: Substring.UTF8View

    mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard let byte = self.rest.first, UInt32(byte) == character.value else { return false }
        self.rest.removeFirst()
        return true
    }

    mutating func token() -> String? {
        let token = self.rest.prefix(while: \.isTokenCharacter)
        guard !token.isEmpty else { return nil }
        self.rest = self.rest[token.endIndex...]
        return String(Substring(token))
    }

    /// The parameters up to the end of the text; `nil` if something else stands there.
    mutating func parameters() -> [MediaType.Parameter]? {
        var parameters: [MediaType.Parameter] = []
        while true {
            self.rest = self.rest.trimmingOptionalWhitespace()
            if self.rest.isEmpty { return parameters }
            guard self.skip(";") else { return nil }
            self.rest = self.rest.trimmingOptionalWhitespace()
            // RFC 9110, section 5.6.6 permits an empty parameter.
            if self.rest.isEmpty || self.rest.first == UInt8(ascii: ";") { continue }
            guard let name = self.token(), self.skip("="), let value = self.token() ?? self.quotedString() else {
                return nil
            }
            parameters.append(.init(name: name.lowercased(), value: value))
        }
    }

    private mutating func quotedString() -> String? {
        guard self.skip("\"") else { return nil }
        var text: [UInt8] = []
        while let byte = self.rest.popFirst() {
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"):
                guard let escaped = self.rest.popFirst() else { return nil }
                text.append(escaped)
            default: text.append(byte)
            }
        }
        return nil
    }
}

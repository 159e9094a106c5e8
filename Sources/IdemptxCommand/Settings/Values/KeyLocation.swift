import HTTPTypes
import Idemptx

/// Where the key of a request comes from, such as `header:X-GitHub-Delivery` or `json:/idempotency_key`.
enum KeyLocation: SettingValue {
    static let expectation = """
        a place of keys: header:NAME, header:NAME,header:NAME, query:NAME, form:NAME, or json:/POINTER into the body
        """

    case headers([HTTPField.Name])
    case query(String)
    case form(String)
    case body(JSONPointer)

    static let standard = KeyLocation.headers([.idempotencyKey])

    init?(setting text: String) {
        let kind = text.prefix { $0 != ":" }
        let rest = String(text.dropFirst(kind.count + 1))
        guard !rest.isEmpty else { return nil }
        switch kind {
        case "header":
            guard let names = Self.headers(in: text) else { return nil }
            self = .headers(names)
        case "query": self = .query(rest)
        case "form": self = .form(rest)
        case "json":
            guard let pointer = try? JSONPointer(rest) else { return nil }
            self = .body(pointer)
        default: return nil
        }
    }

    /// Reads `header:A,header:B`.
    private static func headers(in text: String) -> [HTTPField.Name]? {
        var names: [HTTPField.Name] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard part.hasPrefix("header:"), let name = HTTPField.Name(String(part.dropFirst(7))),
                !names.contains(name)
            else { return nil }
            names.append(name)
        }
        return names
    }

    var shown: FileValue {
        switch self {
        case .headers(let names): .text(names.map { "header:\($0.rawName)" }.joined(separator: ","))
        case .query(let name): .text("query:\(name)")
        case .form(let name): .text("form:\(name)")
        case .body(let pointer): .text("json:\(pointer)")
        }
    }

    var source: KeySource {
        switch self {
        // The one header whose values have a form of their own.
        case .headers([.idempotencyKey]): .idempotencyKey
        case .headers(let names): .headers(names)
        case .query(let name): .queryItem(name)
        case .form(let name): .formField(name)
        case .body(let pointer): .json(pointer)
        }
    }
}

import HTTPTypes
import Idemptx

/// Where the key of a request comes from, such as `header:X-GitHub-Delivery` or `json:/idempotency_key`.
enum KeyLocation: SettingValue {
    static let expectation = "a place of keys: header:NAME, or json:/POINTER into the body"

    case header(HTTPField.Name)
    case body(JSONPointer)

    static let standard = KeyLocation.header(.idempotencyKey)

    init?(setting text: String) {
        let kind = text.prefix { $0 != ":" }
        let rest = String(text.dropFirst(kind.count + 1))
        switch kind {
        case "header":
            guard let name = HTTPField.Name(rest) else { return nil }
            self = .header(name)
        case "json":
            guard !rest.isEmpty, let pointer = try? JSONPointer(rest) else { return nil }
            self = .body(pointer)
        default: return nil
        }
    }

    var shown: FileValue {
        switch self {
        case .header(let name): .text("header:\(name.rawName)")
        case .body(let pointer): .text("json:\(pointer)")
        }
    }

    var source: KeySource {
        switch self {
        // The one header whose values have a form of their own.
        case .header(.idempotencyKey): .idempotencyKey
        case .header(let name): .header(name)
        case .body(let pointer): .json(pointer)
        }
    }
}

import Idemptx
import IdemptxSQLite
import ServiceLifecycle

/// Where records are kept, as `--store` says it.
enum StoreLocation: SettingValue, Equatable {
    case memory
    case sqlite(path: String)

    static let expectation = "a store: memory, or sqlite:PATH"

    static let standard = StoreLocation.sqlite(path: "idemptx.sqlite")

    init?(setting text: String) {
        let scheme = text.prefix { $0 != ":" }
        let rest = String(text.dropFirst(scheme.count + 1))
        switch scheme {
        case "memory" where text == "memory": self = .memory
        case "sqlite" where !rest.isEmpty: self = .sqlite(path: rest)
        default: return nil
        }
    }

    func open() throws(StartError) -> any IdempotencyStore & Service {
        do {
            switch self {
            case .memory: return MemoryStore()
            case .sqlite(let path): return try SQLiteStore(path: path)
            }
        } catch {
            throw StartError("--store: \(error.message)")
        }
    }
}

import Idemptx
import IdemptxRedis
import IdemptxSQLite
import ServiceLifecycle

/// Where records are kept, as `--store` says it.
enum StoreLocation: SettingValue, Equatable {
    case memory
    case sqlite(path: String)
    case redis(url: String)

    static let expectation = """
        a store: memory, sqlite:PATH, redis://HOST, rediss://HOST, redis+sentinel://HOSTS/NAME, redis+cluster://HOSTS, \
        or redis+unix://PATH
        """

    static let standard = StoreLocation.sqlite(path: "idemptx.sqlite")

    init?(setting text: String) {
        let scheme = text.prefix { $0 != ":" }
        let rest = String(text.dropFirst(scheme.count + 1))
        switch scheme {
        case "memory" where text == "memory": self = .memory
        case "sqlite" where !rest.isEmpty: self = .sqlite(path: rest)
        case _ where scheme.hasPrefix("redis") && rest.hasPrefix("//"): self = .redis(url: text)
        default: return nil
        }
    }

    var shown: FileValue {
        switch self {
        case .memory: .text("memory")
        case .sqlite(let path): .text("sqlite:\(path)")
        case .redis(let url): .text(Self.withoutPasswords(url))
        }
    }

    private static func withoutPasswords(_ url: String) -> String {
        url.replacing(/:\/\/([^:@\/]*):[^\/]*@/) { "://\($0.1):***@" }
            .replacing(/(password=)[^&]*/) { "\($0.1)***" }
    }

    /// Opens the store, which has to be there.
    func open() async throws(StartError) -> any IdempotencyStore & KeyInspecting & Service {
        do {
            switch self {
            case .memory: return MemoryStore()
            case .sqlite(let path): return try SQLiteStore(path: path)
            case .redis(let url):
                let store = try RedisStore(url: url)
                try await store.verify()
                return store
            }
        } catch let error as StoreError {
            throw StartError("--store: \(error.message)")
        } catch {
            throw StartError("--store: \(error)")
        }
    }
}

import Idemptx
import IdemptxSQLite
import ServiceLifecycle

#if Redis
import IdemptxRedis
#endif

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

    /// The text is not quoted: it may hold a password.
    static func flaw(of text: String) -> String { "this is not \(Self.expectation)." }

    init?(setting text: String) {
        let scheme = text.prefix { $0 != ":" }.lowercased()
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
        // Whatever stands where credentials do: one that is malformed is a secret, too.
        url.replacing(/:\/\/[^?]*@/) { _ in "://***@" }.replacing(/(password=)[^&]*/) { "\($0.1)***" }
    }

    /// Which stores may be opened.
    enum Condition {
        /// Any; one that is not there is created, if it can be.
        case any
        /// Only one that a server has made.
        case existing
    }

    /// Opens the store.
    func open(
        _ condition: Condition = .any
    ) async throws(CommandError) -> any IdempotencyStore & RecordCounting & Service {
        do {
            switch self {
            case .memory: return MemoryStore()
            case .sqlite(let path):
                return try SQLiteStore(path: path, mustHoldRecords: condition == .existing)
            case .redis(let url):
                #if Redis
                let store = try RedisStore(url: url)
                try await store.verify()
                return store
                #else
                throw CommandError("--store: this program was built without the store in Redis.")
                #endif
            }
        } catch let error as CommandError {
            throw error
        } catch let error as StoreError {
            throw CommandError("--store: \(error.message)")
        } catch {
            throw CommandError("--store: \(error)")
        }
    }
}

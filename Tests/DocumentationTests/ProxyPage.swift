import IdemptxProxy
import IdemptxSQLite
import Logging
import ServiceLifecycle
import UnixSignals

enum ProxyPage {
    static func run() async throws {
        let logger = Logger(label: "proxy")
        let store = try SQLiteStore(path: "idempotency.sqlite")
        let configuration = ProxyConfiguration(upstream: try Upstream("http://localhost:3000")) { $0.port = 8080 }
        let proxy = try ReverseProxy(configuration: configuration, store: store, logger: logger)
        try await ServiceGroup(services: [store, proxy], gracefulShutdownSignals: [.sigterm], logger: logger).run()
    }
}

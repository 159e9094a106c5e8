import ArgumentParser
import BenchmarkSupport
import Foundation
import Hummingbird
import Idemptx
import IdemptxHummingbird
import Logging

/// The server under load: the same handler with and without Idemptx, on one store.
///
/// `make bench` starts it; its first line of output is the port it listens on.
@main
struct BenchmarkServer: AsyncParsableCommand {
    @Option(help: "memory, sqlite:PATH, redis://HOST:PORT or postgres://USER@HOST:PORT/DATABASE.")
    var store: BenchmarkStore = .memory

    @Option(help: "The port to listen on; 0 for any that is free.")
    var port = 0

    func run() async throws {
        let logger = Logger(label: "benchmark") { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = .warning
            return handler
        }
        let store = try await self.store.open()
        var application = Application(
            router: try self.makeRouter(store),
            configuration: ApplicationConfiguration(address: .hostname("127.0.0.1", port: self.port)),
            onServerRunning: { channel in
                let port = channel.localAddress?.port ?? 0
                // `print` would keep it in a buffer.
                FileHandle.standardOutput.write(Data("\(port)\n".utf8))
            },
            logger: logger
        )
        application.addServices(store.service)
        try await application.runService()
    }

    private func makeRouter(_ store: BenchmarkStore.Opened) throws -> Router<BasicRequestContext> {
        let router = Router()
        let orders = Orders()
        let payloads = Payloads()

        router.post("bare/orders") { request, context in
            try await orders.place(request, context)
        }
        router.post("orders", use: idempotent(store: store.records) { try await orders.place($0, $1) })
        router.get("executions") { _, _ in "\(orders.count + payloads.count)" }

        if let reader = try self.store.makeRedisReader() {
            router.post("get/orders") { request, context in
                guard try await reader.size(of: "benchmark") != nil else { throw HTTPError(.internalServerError) }
                return try await orders.place(request, context)
            }
        }

        if let reader = try self.store.makePostgresReader() {
            router.post("select/orders") { request, context in
                guard try await reader.size(of: "benchmark") != nil else { throw HTTPError(.internalServerError) }
                return try await orders.place(request, context)
            }
        }

        router.post("bare/echo") { request, context in
            try await payloads.echo(request, context)
        }
        router.post("echo", use: idempotent(store: store.records) { try await payloads.echo($0, $1) })

        router.post("busy/orders") { request, context in
            try await orders.placeBusily(request, context)
        }

        router.post(
            "slow/orders",
            use: idempotent(store: store.records, waitTimeout: .seconds(20)) { try await orders.placeSlowly($0, $1) })

        let filler = StoreFiller(store.records)
        router.post("fill") { request, _ in
            try await filler.fill(count: request.uri.queryParameters.require("records", as: Int.self))
            return HTTPResponse.Status.noContent
        }
        let holder = LeaseHolder(store: store.records)
        router.post("leases") { request, _ in
            let count = try request.uri.queryParameters.require("count", as: Int.self)
            await holder.hold(count: count)
            return HTTPResponse.Status.noContent
        }
        router.delete("leases") { _, _ in
            holder.release()
            return HTTPResponse.Status.noContent
        }
        return router
    }
}

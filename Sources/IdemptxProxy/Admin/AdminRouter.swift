import HTTPTypes
import Hummingbird

/// What the operator asks.
enum AdminRouter {
    /// `/healthz`, `/readyz` and `/metrics`.
    static func make(
        isServing: @escaping @Sendable () -> Bool,
        readiness: ReadinessCheck,
        metrics: PrometheusRegistry
    ) -> Router<BasicRequestContext> {
        let router = Router(options: .autoGenerateHeadEndpoints)
        router.get("healthz") { _, _ in self.text("ok\n") }
        router.get("readyz") { _, _ in
            guard isServing() else { return self.text("the proxy takes no requests\n", status: .serviceUnavailable) }
            return await readiness.isReady()
                ? self.text("ready\n") : self.text("the store cannot be written to\n", status: .serviceUnavailable)
        }
        router.get("metrics") { _, _ in self.text(metrics.text, type: PrometheusRegistry.contentType) }
        return router
    }

    private static func text(
        _ text: String,
        status: HTTPResponse.Status = .ok,
        type: String = "text/plain; charset=utf-8"
    ) -> Response {
        Response(
            status: status, headers: [.contentType: type, .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
}

import Hummingbird
import Idemptx
import IdemptxHummingbird
import Logging

/// What is known about a request on its way through the proxy.
struct ProxyContext: IdempotencyRequestContext {
    struct Source: RequestContextSource {
        let logger: Logger
        let exchange: ClientExchange
        /// The rules for the request, to its end.
        let policy: IdempotencyPolicy
    }

    var coreContext: CoreRequestContextStorage
    var idempotency: IdempotencyContext?
    let exchange: ClientExchange
    let policy: IdempotencyPolicy

    init(source: Source) {
        self.coreContext = CoreRequestContextStorage(source: source)
        self.exchange = source.exchange
        self.policy = source.policy
    }
}

#if Proxy
import ArgumentParser
import Idemptx

/// By which rules requests are made idempotent.
struct RuleOptions: ParsableArguments {
    @Option(
        help: "enforce; observe (everything runs, and is counted); or off. (default: enforce)",
        completion: IdempotencyPolicy.Mode.completion)
    var mode: String?

    @Option(help: "The methods that are guarded. (default: POST,PATCH)")
    var methods: String?

    @Flag(inversion: .prefixedNo, help: "Refuses guarded requests without a key.")
    var requireKey: Bool?

    @Option(help: "Where the key is: header:NAME, or json:/POINTER into the body. (default: header:Idempotency-Key)")
    var keyFrom: String?

    @Option(help: "Separates the keys of several APIs that share a store. (default: none)")
    var namespace: String?

    @Option(help: "How long responses are kept. (default: 24h)")
    var keyTTL: String?

    @Option(help: "After which time without a sign of life the outcome of an operation is unknown. (default: 30s)")
    var lease: String?

    @Option(help: "How long a request waits for another with its key. (default: 0s)")
    var waitTimeout: String?

    @Option(
        help: "Which responses are kept: at-most-once, retry-server-errors or successes-only. (default: at-most-once)")
    var replayPolicy: String?

    @Option(
        help: "What happens to an operation whose outcome is unknown: rerun or refuse. (default: rerun)",
        completion: UnknownOutcomeChoice.completion)
    var onAbandoned: String?

    @Option(
        help: "What happens without a store: refuse or bypass. (default: refuse)",
        completion: IdempotencyPolicy.StoreFailureRule.completion)
    var onStoreFailure: String?

    @Option(help: "The largest body of a guarded request. (default: 1MiB)")
    var maxRequestBody: String?

    @Option(help: "The largest body of a response that is kept. (default: 1MiB)")
    var maxResponseBody: String?

    @Option(help: "How much the bodies of all guarded requests may take together. (default: 256MiB)")
    var bodyBudget: String?

    var flags: [String: String?] {
        [
            "mode": self.mode, "methods": self.methods, "requireKey": self.requireKey?.description,
            "keyFrom": self.keyFrom, "namespace": self.namespace, "keyTTL": self.keyTTL, "lease": self.lease,
            "waitTimeout": self.waitTimeout, "replayPolicy": self.replayPolicy, "onAbandoned": self.onAbandoned,
            "onStoreFailure": self.onStoreFailure, "maxRequestBody": self.maxRequestBody,
            "maxResponseBody": self.maxResponseBody, "bodyBudget": self.bodyBudget,
        ]
    }
}
#endif

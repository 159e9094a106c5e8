import Idemptx

/// What the demo prints when it is ready: where it listens, and lines to paste.
struct DemoGuide {
    let host: String
    let port: Int
    let policy: IdempotencyPolicy

    var text: String {
        let url = "http://\(self.host):\(self.port)/charges"
        let json = "-H 'Content-Type: application/json'"
        return """
            Payments demo on http://\(self.host):\(self.port)

            First run: 201, X-Idempotency-Status: new
              curl -i \(url) -H 'Idempotency-Key: order-1' \(json) -d '{"amount": 1999}'

            Replay: the same line again, the same charge, Idempotent-Replayed: true
              curl -i \(url) -H 'Idempotency-Key: order-1' \(json) -d '{"amount": 1999}'

            Other amount, same key: 422
              curl -i \(url) -H 'Idempotency-Key: order-1' \(json) -d '{"amount": 2999}'

            Double click: 409 for the second while the first is running
              curl -s '\(url)?latency=3s' -H 'Idempotency-Key: order-2' \(json) -d '{"amount": 500}' & sleep 1; \
            curl -i '\(url)?latency=3s' -H 'Idempotency-Key: order-2' \(json) -d '{"amount": 500}'; wait

            No key: 400
              curl -i \(url) \(json) -d '{"amount": 1999}'

            The ledger
              curl \(url)

            A crash: run this, kill -9 the demo meanwhile, start it again, and repeat it after \(self.leaseText)
              curl -i '\(url)?latency=20s' -H 'Idempotency-Key: order-3' \(json) -d '{"amount": 700}'


            """
    }

    private var leaseText: String {
        "\(self.policy.lease) (the lease): \(self.policy.onAbandoned == .rerun ? "attempt 2 runs" : "409, refused")"
    }
}

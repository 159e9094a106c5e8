import Idemptx

/// What the demo prints when it is ready: where its page is, and lines to paste.
struct DemoGuide {
    let address: HostPort
    let policy: IdempotencyPolicy
    let processID: Int32
    /// A key that has no response yet; the same after a crash as before it.
    let crashKey: String
    /// Whether a charge and its record are committed together.
    let isJoined: Bool
    /// Tells the keys of this start from those of earlier ones, whose responses the store still has.
    let suffix = String(UInt16.random(in: 0x1000 ... .max), radix: 16)

    var text: String {
        let page = "http://\(self.address)/"
        let url = "\(page)charges"
        let (first, second) = ("'Idempotency-Key: order-1-\(self.suffix)'", "'Idempotency-Key: order-2-\(self.suffix)'")
        let json = "-H 'Content-Type: application/json'"
        let slow = "'\(url)?latency=20s' -H 'Idempotency-Key: \(self.crashKey)' \(json) -d '{\"amount\": 700}'"
        return """
            Open \(page) and press its buttons, or paste these lines.

            First run: 201, X-Idempotency-Status: new
              curl -i \(url) -H \(first) \(json) -d '{"amount": 1999}'

            Replay: the same line again, the same charge, Idempotent-Replayed: true
              curl -i \(url) -H \(first) \(json) -d '{"amount": 1999}'

            Other amount, same key: 422
              curl -i \(url) -H \(first) \(json) -d '{"amount": 2999}'

            Double click: 409 for the second while the first is running
              curl -s '\(url)?latency=3s' -H \(second) \(json) -d '{"amount": 500}' & sleep 1; \
            curl -i '\(url)?latency=3s' -H \(second) \(json) -d '{"amount": 500}'; wait

            No key: 400
              curl -i \(url) \(json) -d '{"amount": 1999}'

            The ledger
              curl \(url)

            A crash at the worst moment: \(self.crash)
              curl -i \(slow) & sleep 1; kill -9 \(self.processID); wait
            Start the demo again and, \(self.policy.lease.setting) later (the lease), retry: \(self.afterCrash)
              curl -i \(slow)


            """
    }

    private var crash: String {
        self.isJoined
            ? "the charge is written, and nothing is committed yet"
            : "the money has moved, and the client does not know"
    }

    private var afterCrash: String {
        guard self.policy.onAbandoned.kind == .rerun else { return "409, refused" }
        return self.isJoined ? "attempt 2 runs, and its charge is the only one" : "attempt 2 runs, a second charge"
    }
}

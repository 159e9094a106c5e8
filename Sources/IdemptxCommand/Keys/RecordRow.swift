import Idemptx

/// What a listing tells of a record.
///
/// Times are differences on the clock of the store.
struct RecordRow: Encodable {
    let record: String
    let state: RecordState
    private(set) var attempt: Int?
    private(set) var ageMs: Int64?
    private(set) var leaseLeftMs: Int64?
    private(set) var ttlLeftMs: Int64?

    init(_ summary: RecordSummary) {
        self.record = summary.key.description
        self.state = summary.state
        guard let header = summary.header else { return }
        self.attempt = header.attempt
        self.ageMs = summary.age?.wholeMilliseconds
        // Unknown outcomes can be kept for good.
        if header.expires != .distantFuture {
            self.ttlLeftMs = summary.readAt.duration(to: header.expires).wholeMilliseconds
        }
        guard let leaseEnd = header.leaseEnd else { return }
        self.leaseLeftMs = max(0, summary.readAt.duration(to: leaseEnd).wholeMilliseconds)
    }

    static let columns = ["RECORD", "STATE", "AGE", "ATTEMPT", "LEASE LEFT", "TTL LEFT"]

    var cells: [String] {
        [
            String(self.record.prefix(RecordOptions.shortLength)), self.state.rawValue, Self.text(self.ageMs),
            self.attempt.map { "\($0)" } ?? "-", Self.text(self.leaseLeftMs), Self.text(self.ttlLeftMs),
        ]
    }

    /// In the largest unit of which there is at least one, such as `23h`.
    static func text(_ milliseconds: Int64?) -> String {
        guard let milliseconds else { return "-" }
        let units: [(size: Int64, name: String)] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")]
        let unit = units.first { $0.size <= milliseconds } ?? (1, "ms")
        return "\(milliseconds / unit.size)\(unit.name)"
    }
}

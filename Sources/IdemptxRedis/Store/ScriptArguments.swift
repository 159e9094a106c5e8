import Idemptx

/// What scripts read as `ARGV`.
extension [UInt8] {
    static func text(_ text: String) -> [UInt8] { Array(text.utf8) }

    static func flag(_ isSet: Bool) -> [UInt8] { self.text(isSet ? "1" : "0") }

    /// In milliseconds, limited to a century: the server adds it to the time of day, in a floating-point number.
    static func duration(_ duration: Duration) -> [UInt8] {
        self.text("\(Swift.min(Swift.max(duration.wholeMilliseconds, 0), 3_155_760_000_000))")
    }

    /// A record for a script to fill in the attempt and the times.
    static func template(
        _ state: IdempotencyRecord.State,
        owner: OwnerToken,
        fingerprint: Fingerprint = .none
    ) -> [UInt8] {
        RecordCodec.encode(
            IdempotencyRecord(
                fingerprint: fingerprint, owner: owner, attempt: 1, created: .zero, expires: .zero, state: state))
    }
}

extension Timestamp {
    static let zero = Timestamp(milliseconds: 0)
}

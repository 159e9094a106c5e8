import Idemptx

/// How long ago a record has to have been claimed first, as `--older-than` says it.
struct RecordAge {
    private let minimum: Int64?

    init(olderThan text: String?) throws(CommandError) {
        guard let text else {
            self.minimum = nil
            return
        }
        guard let age = Duration(setting: text) else {
            throw CommandError("--older-than: \(Duration.flaw(of: text))")
        }
        self.minimum = age.wholeMilliseconds
    }

    func includes(_ record: RecordSummary) -> Bool {
        guard let minimum else { return true }
        return minimum <= RecordRow(record).ageMs ?? 0
    }
}

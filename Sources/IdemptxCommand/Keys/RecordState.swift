import ArgumentParser
import Idemptx

/// Where a record stands, in an operator's words.
enum RecordState: String, CaseIterable, ExpressibleByArgument, Encodable {
    /// An attempt runs.
    case claimed
    /// An attempt let its lease end: it crashed, or was cut off.
    case abandoned
    /// There is an answer to replay.
    case completed
    /// The operation is done; its answer is not kept.
    case tombstone
    /// The record is damaged, or of a later version.
    case unreadable

    init(_ record: RecordSummary) {
        self =
            switch record.header?.phase {
            case .claimed: record.isAbandoned ? .abandoned : .claimed
            case .response: .completed
            case .tombstone: .tombstone
            case nil: .unreadable
            }
    }
}

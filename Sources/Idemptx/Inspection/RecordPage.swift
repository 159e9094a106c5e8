/// One page of records.
public struct RecordPage: Hashable, Sendable {
    /// The records, as far as they have not expired.
    public let records: [RecordSummary]

    /// Where the next page starts; `nil` if this is the last.
    public let next: ListingCursor?

    /// Creates a page.
    ///
    /// - Parameters:
    ///   - records: The records.
    ///   - next: Where the next page starts; `nil` if this is the last.
    public init(records: [RecordSummary], next: ListingCursor?) {
        self.records = records
        self.next = next
    }
}

/// Where a listing of records goes on.
public struct ListingCursor: Hashable, Sendable {
    /// A text that only the store that made it understands.
    public let rawValue: String

    /// Creates a cursor.
    ///
    /// - Parameter rawValue: A text that the store understands.
    public init(rawValue: String) {
        self.rawValue = rawValue
    }
}

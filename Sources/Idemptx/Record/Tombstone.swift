/// What is kept of an answer that cannot be replayed: too large, cut off, or not to be stored.
///
/// The operation never runs again. A retry learns what the first answer was and where its result is.
public struct Tombstone: Hashable, Sendable {
    /// The status code of the original answer.
    public var status: Int

    /// The `Location` of the original answer.
    public var location: String?

    /// Creates a tombstone.
    ///
    /// - Parameters:
    ///   - status: The status code of the original answer.
    ///   - location: The `Location` of the original answer.
    public init(status: Int, location: String? = nil) {
        self.status = status
        self.location = location
    }
}

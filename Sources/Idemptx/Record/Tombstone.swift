/// What is kept of a response that cannot be replayed: too large, broken off, or not to be stored.
///
/// The operation never runs again. A retry is told the status of the first response and where its result is.
public struct Tombstone: Hashable, Sendable {
    /// The status code of the original response.
    package var status: Int

    /// The `Location` of the original response.
    package var location: String?

    /// Creates a tombstone.
    ///
    /// - Parameters:
    ///   - status: The status code of the original response, from 0 to 999; any other number becomes the nearest of them.
    ///   - location: The `Location` of the original response.
    public init(status: Int, location: String? = nil) {
        // A record with another could be written, and not be read.
        self.status = min(max(status, 0), 999)
        self.location = location
    }
}

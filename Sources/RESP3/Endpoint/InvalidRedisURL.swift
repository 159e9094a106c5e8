/// A URL that names no Redis server.
///
/// The sentence quotes no part of the URL that may hold a credential.
package struct InvalidRedisURL: Error, Hashable, Sendable, CustomStringConvertible {
    /// One sentence for a person.
    package let description: String

    init(_ description: String) {
        self.description = description
    }
}

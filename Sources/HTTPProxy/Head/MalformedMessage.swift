/// What came from the upstream is no HTTP, or no HTTP that everybody reads in the same way.
package struct MalformedMessage: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong, for the log.
    package let description: String

    init(_ description: String) {
        self.description = description
    }
}

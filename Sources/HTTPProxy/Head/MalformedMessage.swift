/// What came from the upstream is no HTTP, or no HTTP that everybody reads in the same way.
package struct MalformedMessage: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong, for the log.
    package let description: String

    /// Whether it is a head that may be proper, but is larger than the proxy permits.
    let isHeadTooLarge: Bool

    static let headTooLarge = MalformedMessage("The head is too large", isHeadTooLarge: true)

    init(_ description: String, isHeadTooLarge: Bool = false) {
        self.description = description
        self.isHeadTooLarge = isHeadTooLarge
    }
}

/// A setting with which the proxy cannot work.
public struct InvalidProxyConfiguration: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong, in a sentence for the operator.
    public let description: String

    init(_ description: String) {
        self.description = description
    }
}

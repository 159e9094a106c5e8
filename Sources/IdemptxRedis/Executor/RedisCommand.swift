/// A command of Redis: its name and its arguments, as bytes.
public struct RedisCommand: Hashable, Sendable {
    /// The name, then the arguments.
    public let words: [[UInt8]]

    /// Creates a command.
    ///
    /// - Parameter words: The name, then the arguments.
    public init(_ words: [[UInt8]]) {
        self.words = words
    }

    /// Creates a command whose words are all texts.
    ///
    /// - Parameter words: The name, then the arguments.
    public init(_ words: String...) {
        self.words = words.map { Array($0.utf8) }
    }
}

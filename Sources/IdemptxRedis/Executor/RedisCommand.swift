/// A command of Redis: its name and its arguments, as bytes.
public struct RedisCommand: Hashable, Sendable {
    /// The name, then the arguments.
    public let words: [[UInt8]]

    /// Whether its reply can be large, from 16 KiB to some MiB.
    ///
    /// Send it over another connection than the others, which would be late behind it, and do the same with commands
    /// that are as large themselves. That matters where callers have deadlines; it changes no result.
    public var isLarge = false

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

public import Idemptx

/// A statement of SQL and the values of its parameters.
public struct PostgresStatement: Hashable, Sendable {
    /// One statement, with `$1`, `$2`, … for parameters.
    public let sql: String

    /// The values of the parameters.
    public let parameters: [PostgresValue]

    /// What goes first if statements have to wait for a connection: `settle` before all others, which the store's own client
    /// does not tell apart.
    public let priority: TransactionPriority

    /// Creates a statement.
    ///
    /// - Parameters:
    ///   - sql: One statement, with `$1`, `$2`, … for parameters.
    ///   - parameters: Their values.
    ///   - priority: What goes first if statements have to wait for a connection.
    public init(_ sql: String, _ parameters: [PostgresValue] = [], priority: TransactionPriority = .claim) {
        self.sql = sql
        self.parameters = parameters
        self.priority = priority
    }
}

/// A value that a statement is given, or that is in a row: of one of the types that the store's statements use.
public enum PostgresValue: Hashable, Sendable {
    /// `NULL`.
    case null
    /// An `int8`; in a row also an `int4` or `int2`.
    case integer(Int64)
    /// A `bool`.
    case boolean(Bool)
    /// A `text`.
    case text(String)
    /// A `bytea`.
    case bytes([UInt8])
}

extension PostgresValue {
    static func integer(_ number: Int64?) -> PostgresValue { number.map { .integer($0) } ?? .null }

    static func bytes(_ bytes: [UInt8]?) -> PostgresValue { bytes.map { .bytes($0) } ?? .null }
}

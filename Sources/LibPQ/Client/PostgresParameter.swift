/// A value for `$1`, `$2`, … of a statement.
package enum PostgresParameter: Sendable, Hashable {
    /// `NULL`, of whatever type the statement expects.
    case null
    /// An `int8`.
    case integer(Int64)
    /// Text, of whatever type the statement expects: also a number, a time, an array or JSON in PostgreSQL's notation.
    case text(String)
    /// A `bytea`.
    case bytes([UInt8])
    /// A `bool`.
    case boolean(Bool)

    /// A text, or `NULL`.
    package static func text(_ value: String?) -> PostgresParameter { value.map { .text($0) } ?? .null }
    /// An `int8`, or `NULL`.
    package static func integer(_ value: Int64?) -> PostgresParameter { value.map { .integer($0) } ?? .null }
    /// A `bytea`, or `NULL`.
    package static func bytes(_ value: [UInt8]?) -> PostgresParameter { value.map { .bytes($0) } ?? .null }
}

extension PostgresParameter: ExpressibleByIntegerLiteral, ExpressibleByStringLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByNilLiteral
{
    /// An `int8`.
    package init(integerLiteral value: Int64) { self = .integer(value) }
    /// A text.
    package init(stringLiteral value: String) { self = .text(value) }
    /// A `bool`.
    package init(booleanLiteral value: Bool) { self = .boolean(value) }
    /// `NULL`.
    package init(nilLiteral: ()) { self = .null }
}

/// A row of a result, whose values are read by the position of their column, from 0.
///
/// `NULL` is read as `nil`. A value of another type than is asked for is an error: cast it in the statement, as in
/// `created::text`.
package struct PostgresRow: Sendable {
    private let columns: [PostgresResult.Column]
    private let values: PostgresValues
    private let start: Int

    init(columns: [PostgresResult.Column], values: PostgresValues, index: Int) {
        self.columns = columns
        self.values = values
        self.start = index * columns.count
    }

    /// Reads an `int2`, `int4`, `int8` or `oid`.
    ///
    /// - Throws: ``PostgresError/unexpectedResult(_:)`` if it is of another type.
    package func integer(_ column: Int) throws(PostgresError) -> Int64? {
        switch try self.type(column) {
        case PostgresType.int2: try self.fixed(column, Int16.self).map { Int64($0) }
        case PostgresType.int4: try self.fixed(column, Int32.self).map { Int64($0) }
        case PostgresType.int8: try self.fixed(column, Int64.self)
        case PostgresType.oid: try self.fixed(column, UInt32.self).map { Int64($0) }
        default: throw self.mismatch(column, "an integer")
        }
    }

    /// Reads a `text`, `varchar`, `char`, `name`, `json`, `jsonb`, `xml`, or a type of one's own, such as an enum.
    ///
    /// - Throws: ``PostgresError/unexpectedResult(_:)`` if it is of another type.
    package func text(_ column: Int) throws(PostgresError) -> String? {
        let type = try self.type(column)
        guard PostgresType.isTextual(type) else { throw self.mismatch(column, "a text") }
        // The binary form of jsonb is a version and then the text.
        return self.cell(column).map {
            String(decoding: type == PostgresType.jsonb ? $0.dropFirst() : $0, as: UTF8.self)
        }
    }

    /// Reads a `bytea`.
    ///
    /// - Throws: ``PostgresError/unexpectedResult(_:)`` if it is of another type.
    package func bytes(_ column: Int) throws(PostgresError) -> [UInt8]? {
        guard try self.type(column) == PostgresType.bytea else { throw self.mismatch(column, "a bytea") }
        return self.cell(column).map { Array($0) }
    }

    /// Reads a `bool`.
    ///
    /// - Throws: ``PostgresError/unexpectedResult(_:)`` if it is of another type.
    package func boolean(_ column: Int) throws(PostgresError) -> Bool? {
        guard try self.type(column) == PostgresType.bool else { throw self.mismatch(column, "a bool") }
        return self.cell(column).map { $0.first == 1 }
    }

    /// Whether it is `NULL`, whatever its type.
    ///
    /// - Throws: ``PostgresError/unexpectedResult(_:)`` if there is no such column.
    package func isNull(_ column: Int) throws(PostgresError) -> Bool {
        _ = try self.type(column)
        return self.cell(column) == nil
    }

    private func cell(_ column: Int) -> ArraySlice<UInt8>? { self.values[self.start + column] }

    private func type(_ column: Int) throws(PostgresError) -> UInt32 {
        guard self.columns.indices.contains(column) else {
            throw .unexpectedResult("There is no column \(column) among \(self.columns.count).")
        }
        return self.columns[column].type
    }

    private func fixed<Value: FixedWidthInteger>(
        _ column: Int, _: Value.Type
    ) throws(PostgresError) -> Value? {
        guard let bytes = self.cell(column) else { return nil }
        guard bytes.count == MemoryLayout<Value>.size else { throw self.mismatch(column, "an integer") }
        return bytes.reduce(0) { $0 << 8 | Value(truncatingIfNeeded: $1) }
    }

    private func mismatch(_ column: Int, _ expectation: String) -> PostgresError {
        let found = self.columns[column]
        return .unexpectedResult("The column \(found.name) is not \(expectation), but of type \(found.type).")
    }
}

/// Numbers of built-in types, which never change.
enum PostgresType {
    static let bool: UInt32 = 16
    static let bytea: UInt32 = 17
    static let int8: UInt32 = 20
    static let int2: UInt32 = 21
    static let int4: UInt32 = 23
    static let oid: UInt32 = 26
    static let jsonb: UInt32 = 3802
    /// name, text, json, xml, unknown, bpchar, varchar, jsonb.
    private static let textual: Set<UInt32> = [19, 25, 114, 142, 705, 1042, 1043, 3802]
    /// From here on, types are not built in; those that are met are enums and domains.
    private static let firstOwn: UInt32 = 16384

    static func isTextual(_ type: UInt32) -> Bool { type >= Self.firstOwn || Self.textual.contains(type) }
}

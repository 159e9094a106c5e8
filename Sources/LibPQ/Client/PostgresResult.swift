/// What the server replied to one statement.
package struct PostgresResult: Sendable {
    /// A column of a result.
    package struct Column: Sendable, Hashable {
        /// The name, as the statement gives it.
        package let name: String
        /// The number of the type in `pg_type`.
        package let type: UInt32
    }

    /// The columns; none if the statement has no result.
    package let columns: [Column]
    /// The command that was run, such as `INSERT 0 1`.
    package let command: String
    /// How many rows were inserted, updated, deleted or selected.
    package let affectedRows: Int
    /// How many rows there are.
    package let rowCount: Int

    private let values: PostgresValues

    init(columns: [Column], command: String, affectedRows: Int, rowCount: Int, values: PostgresValues) {
        self.columns = columns
        self.command = command
        self.affectedRows = affectedRows
        self.rowCount = rowCount
        self.values = values
    }

    /// The rows.
    package var rows: some RandomAccessCollection<PostgresRow> {
        (0..<self.rowCount).lazy.map { PostgresRow(columns: self.columns, values: self.values, index: $0) }
    }

    /// The first row, if there is one.
    package var first: PostgresRow? { self.rows.first }
}

/// The values of all rows, in one piece of memory.
struct PostgresValues: Sendable {
    private(set) var bytes: [UInt8] = []
    /// Where each value ends in `bytes`; -1 - end for `NULL`.
    private(set) var ends: [Int] = []

    init(cells: Int) {
        self.ends.reserveCapacity(cells)
    }

    mutating func append(_ value: UnsafeRawBufferPointer) {
        unsafe self.bytes.append(contentsOf: value)
        self.ends.append(self.bytes.count)
    }

    mutating func appendNull() {
        self.ends.append(-1 - self.bytes.count)
    }

    subscript(cell: Int) -> ArraySlice<UInt8>? {
        let end = self.ends[cell]
        guard end >= 0 else { return nil }
        let previous = cell == 0 ? 0 : self.ends[cell - 1]
        return self.bytes[(previous >= 0 ? previous : -1 - previous)..<end]
    }
}

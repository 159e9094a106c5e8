/// A statement in the form in which libpq takes it.
struct EncodedStatement: Sendable {
    /// How many parameters the protocol can count.
    private static let maximumParameters = 65535

    let sql: String
    /// The values one behind the other; those that are not binary with a zero at their end.
    private var values: [UInt8] = []
    /// Where each value starts; -1 for `NULL`.
    private var starts: [Int] = []
    private var lengths: [Int32] = []
    /// 0 to let the server decide by what the statement expects.
    private var types: [UInt32] = []
    /// 0 for text, 1 for binary.
    private var formats: [Int32] = []

    /// How much memory it takes, roughly.
    var size: Int { self.sql.utf8.count + self.values.count + 20 * self.starts.count }

    /// A statement of this module's own, without parameters.
    init(own sql: String) {
        self.sql = sql
    }

    /// - Throws: ``PostgresError/invalidStatement(_:)``.
    init(_ sql: String, _ parameters: [PostgresParameter]) throws(PostgresError) {
        // libpq would take the text up to the zero byte for all of it.
        if sql.utf8.contains(0) { throw .invalidStatement("The statement has a zero byte in it.") }
        if parameters.count > Self.maximumParameters {
            throw .invalidStatement("The statement has \(parameters.count) parameters: more than can be sent.")
        }
        self.sql = sql
        self.starts.reserveCapacity(parameters.count)
        for parameter in parameters { try self.append(parameter) }
    }

    private mutating func append(_ parameter: PostgresParameter) throws(PostgresError) {
        switch parameter {
        case .null:
            self.append(start: -1, type: 0, isBinary: false, from: self.values.count)
        case .integer(let value):
            let start = self.values.count
            for shift in stride(from: 56, through: 0, by: -8) {
                self.values.append(UInt8(truncatingIfNeeded: value >> shift))
            }
            self.append(start: start, type: PostgresType.int8, isBinary: true, from: start)
        case .boolean(let value):
            self.values.append(value ? 1 : 0)
            self.append(
                start: self.values.count - 1, type: PostgresType.bool, isBinary: true, from: self.values.count - 1)
        case .bytes(let bytes):
            let start = self.values.count
            self.values += bytes
            self.append(start: start, type: PostgresType.bytea, isBinary: true, from: start)
        case .text(let text):
            if text.utf8.contains(0) {
                throw .invalidStatement("A text has a zero byte in it, which PostgreSQL cannot store.")
            }
            let start = self.values.count
            self.values += text.utf8
            self.append(start: start, type: 0, isBinary: false, from: start)
            self.values.append(0)
        }
        if self.values.count > Int(Int32.max) {
            throw .invalidStatement("The statement has more than 2 GiB of values.")
        }
    }

    private mutating func append(start: Int, type: UInt32, isBinary: Bool, from valueStart: Int) {
        self.starts.append(start)
        self.lengths.append(Int32(clamping: self.values.count - valueStart))
        self.types.append(type)
        self.formats.append(isBinary ? 1 : 0)
    }

    /// Sends it, as far as the socket takes it.
    ///
    /// - Returns: Whether libpq has taken all of it.
    func send(on connection: OpaquePointer, _ pq: PQFunctions) -> Bool {
        unsafe self.values.withUnsafeBytes { values in
            // An empty value needs an address too, which is never read.
            let empty = unsafe UnsafeRawPointer(bitPattern: 1)
            let pointers = unsafe self.starts.map { start in
                start < 0
                    ? nil
                    : unsafe (values.baseAddress.map { unsafe $0 + start } ?? empty)?.assumingMemoryBound(
                        to: CChar.self)
            }
            return unsafe pq.sendQueryParams(
                connection, self.sql, Int32(pointers.count), self.types, pointers, self.lengths, self.formats, 1) == 1
        }
    }
}

/// An open connection, used by one thread.
@safe
final class PQConnection {
    /// What has arrived.
    enum Reply {
        case result(PostgresResult)
        case error(PostgresServerError)
        /// The connection is of no use any more.
        case lost(String)
        /// All results of one statement have arrived.
        case endOfStatement
        /// The server has committed, or rolled back, what was sent before the mark.
        case sync
        /// A statement was skipped, since one before it in the same group has failed.
        case skipped
    }

    let socket: Int32
    /// Whether several statements may be under way.
    let isPipelined: Bool
    let usesTLS: Bool
    /// Whether something waits for the socket to take it.
    private(set) var hasUnsentOutput = false

    private let pq: PQFunctions
    private let pointer: OpaquePointer

    init?(_ opened: OpenedConnection, _ pq: PQFunctions, isPipelined: Bool) {
        guard let pointer = unsafe opened.take() else { return nil }
        unsafe self.pointer = pointer
        self.pq = pq
        self.socket = unsafe pq.socket(pointer)
        self.usesTLS = unsafe pq.sslInUse(pointer) == 1
        self.isPipelined = isPipelined
    }

    deinit {
        unsafe self.pq.finish(self.pointer)
    }

    /// Whether no transaction is open, when all replies have arrived.
    var isIdle: Bool { unsafe self.pq.transactionStatus(self.pointer) == PQ.idle }

    /// What libpq says about the last failure.
    var errorSentence: String { "\(unsafe self.pq.sentence(self.pq.errorMessage(self.pointer)))." }

    /// Sends a statement.
    ///
    /// - Returns: Whether libpq has taken it.
    func send(_ statement: EncodedStatement) -> Bool {
        unsafe statement.send(on: self.pointer, self.pq)
    }

    /// Marks the end of a group of statements, which the server then commits.
    ///
    /// - Returns: Whether libpq has taken the mark.
    func sync() -> Bool {
        guard let pipeline = self.pq.pipeline else { return false }
        return unsafe (pipeline.sendSync ?? pipeline.sync)(self.pointer) == 1
    }

    /// Gives the socket what it takes.
    ///
    /// - Returns: Whether the connection is still of use.
    func flush() -> Bool {
        let outcome = unsafe self.pq.flush(self.pointer)
        self.hasUnsentOutput = outcome == 1
        return outcome >= 0
    }

    /// Takes from the socket what is there.
    ///
    /// - Returns: Whether the connection is still of use.
    func consume() -> Bool {
        unsafe self.pq.consumeInput(self.pointer) == 1
    }

    /// The next reply that has arrived completely; to be asked only while one is due.
    func nextReply() -> Reply? {
        guard unsafe self.pq.isBusy(self.pointer) == 0 else { return nil }
        guard let result = unsafe self.pq.getResult(self.pointer) else { return .endOfStatement }
        defer { unsafe self.pq.clear(result) }
        return switch unsafe self.pq.resultStatus(result) {
        case PQ.tuplesOK, PQ.commandOK, PQ.emptyQuery: unsafe .result(self.decode(result))
        case PQ.fatalError: unsafe self.error(result)
        case PQ.pipelineSync: .sync
        case PQ.pipelineAborted: .skipped
        default: .lost("A statement copies data, which this client does not do.")
        }
    }

    /// The next notification that has arrived.
    func nextNotification() -> (channel: String, payload: String)? {
        guard let notification = unsafe self.pq.notifies(self.pointer) else { return nil }
        defer { unsafe self.pq.freemem(notification) }
        // Of it: the channel, the process, what was sent.
        let raw = UnsafeRawPointer(notification)
        let stride = unsafe MemoryLayout<PQFunctions.CString?>.stride
        let channel = unsafe raw.load(as: PQFunctions.CString?.self)
        let payload = unsafe raw.load(fromByteOffset: 2 * stride, as: PQFunctions.CString?.self)
        return unsafe (
            channel.map { unsafe String(cString: $0) } ?? "", payload.map { unsafe String(cString: $0) } ?? ""
        )
    }

    /// Asks the server to cancel what it runs on this connection, without waiting.
    func requestCancel() {
        unsafe Canceller.cancel(self.pointer, self.pq)
    }

    private func error(_ result: OpaquePointer) -> Reply {
        guard let sqlState = unsafe self.field(PQ.sqlState, of: result) else {
            // libpq itself has something to say, and that is about the connection.
            return .lost("\(unsafe self.pq.sentence(self.pq.resultErrorMessage(result))).")
        }
        let message = unsafe self.field(PQ.primaryMessage, of: result) ?? ""
        let severity = unsafe self.field(PQ.severity, of: result) ?? "ERROR"
        // With all others the server closes the connection, and not necessarily before it has committed.
        guard severity == "ERROR" else { return .lost("\(message) (\(sqlState))") }
        return .error(
            PostgresServerError(
                sqlState: sqlState, message: message, detail: unsafe self.field(PQ.detail, of: result) ?? "",
                hint: unsafe self.field(PQ.hint, of: result) ?? "",
                constraint: unsafe self.field(PQ.constraint, of: result)))
    }

    private func field(_ code: Int32, of result: OpaquePointer) -> String? {
        unsafe self.pq.resultErrorField(result, code).map { unsafe String(cString: $0) }
    }

    private func decode(_ result: OpaquePointer) -> PostgresResult {
        let columnCount = unsafe self.pq.nfields(result)
        let rowCount = unsafe self.pq.ntuples(result)
        return PostgresResult(
            columns: unsafe self.columns(result, columnCount),
            command: unsafe self.string(self.pq.cmdStatus(result)),
            affectedRows: Int(unsafe self.string(self.pq.cmdTuples(result))) ?? 0,
            rowCount: Int(rowCount), values: unsafe self.values(result, rowCount, columnCount))
    }

    private func columns(_ result: OpaquePointer, _ count: Int32) -> [PostgresResult.Column] {
        (0..<count).map { index in
            PostgresResult.Column(
                name: unsafe self.string(self.pq.fname(result, index)), type: unsafe self.pq.ftype(result, index))
        }
    }

    private func values(_ result: OpaquePointer, _ rowCount: Int32, _ columnCount: Int32) -> PostgresValues {
        var values = PostgresValues(cells: Int(rowCount) * Int(columnCount))
        for row in 0..<rowCount {
            for column in 0..<columnCount {
                if unsafe self.pq.getisnull(result, row, column) == 1 {
                    values.appendNull()
                } else {
                    let length = unsafe Int(self.pq.getlength(result, row, column))
                    let start = unsafe self.pq.getvalue(result, row, column)
                    unsafe values.append(UnsafeRawBufferPointer(start: start, count: length))
                }
            }
        }
        return values
    }

    private func string(_ text: PQFunctions.CString?) -> String {
        unsafe text.map { unsafe String(cString: $0) } ?? ""
    }
}

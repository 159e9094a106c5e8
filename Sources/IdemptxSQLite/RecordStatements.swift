import Foundation
import GRDB
import GRDBSQLite
import Idemptx
import Synchronization

/// Reads and writes one record on the connection that writes, inside a transaction of the caller.
///
/// Each request reads and writes a record twice. There, rows, arguments and observers cost several times as much as
/// SQLite itself, so these statements are run by its own interface. They belong to GRDB, which finalizes them when the
/// connection is closed, in its own queue: the application may close its database while a store uses it.
enum RecordStatements {
    static func record(_ key: StorageKey, in db: Database) throws -> IdempotencyRecord? {
        try self.statement(RecordTable.select, in: db).blob(for: key.bytes).map { try RecordCodec.decode($0) }
    }

    static func write(_ record: IdempotencyRecord, for key: StorageKey, in db: Database) throws {
        try self.statement(RecordTable.upsert, in: db).run(
            key.bytes, record.expires.milliseconds, record.leaseEnd, RecordCodec.encode(record))
    }

    private static func statement(_ sql: String, in db: Database) throws -> StatementHandle {
        let statement = try db.cachedStatement(sql: sql)
        return unsafe StatementHandle(statement.sqliteStatement)
    }
}

/// Connections that only read records, in the thread of the caller.
final class RecordReaders: Sendable {
    private let readers: [RecordReader]
    private let turn = Atomic(0)

    init(path: String, busyTimeout: Duration) throws {
        self.readers = try (0..<max(2, ProcessInfo.processInfo.activeProcessorCount)).map { _ in
            try RecordReader(path: path, busyTimeout: busyTimeout)
        }
    }

    /// The binary form of a record.
    ///
    /// - Returns: `nil` if there is none.
    /// - Throws: What SQLite says, such as that it would have to wait.
    func content(of key: StorageKey) throws -> [UInt8]? {
        let turn = UInt(bitPattern: self.turn.wrappingAdd(1, ordering: .relaxed).oldValue)
        return try self.readers[Int(turn % UInt(self.readers.count))].content(of: key)
    }
}

private final class RecordReader: Sendable {
    private struct Handles: ~Copyable {
        let select: PreparedStatement
        let connection: ReadOnlyConnection
    }

    private let handles: Mutex<Handles>

    init(path: String, busyTimeout: Duration) throws {
        let connection = try ReadOnlyConnection(path: path)
        // Another process may be closing the file, or recovering it after a crash.
        connection.wait(atMost: busyTimeout)
        let select = try connection.prepare(RecordTable.select)
        // From now on, the writer waits, with its deadline.
        connection.wait(atMost: .zero)
        self.handles = Mutex(Handles(select: select, connection: connection))
    }

    func content(of key: StorageKey) throws -> [UInt8]? {
        try self.handles.withLock { handles in try handles.select.handle.blob(for: key.bytes) }
    }
}

/// A connection of SQLite's own interface.
@safe
private struct ReadOnlyConnection: ~Copyable {
    private let handle: OpaquePointer

    init(path: String) throws {
        var opened: OpaquePointer?
        let code = unsafe sqlite3_open_v2(path, &opened, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nil)
        guard code == SQLITE_OK, let handle = unsafe opened else {
            unsafe sqlite3_close_v2(opened)
            throw DatabaseError(resultCode: ResultCode(rawValue: code))
        }
        unsafe self.handle = handle
    }

    deinit {
        unsafe sqlite3_close_v2(self.handle)
    }

    func wait(atMost timeout: Duration) {
        unsafe sqlite3_busy_timeout(self.handle, Int32(clamping: timeout.wholeMilliseconds))
    }

    func prepare(_ sql: String) throws -> PreparedStatement {
        try PreparedStatement(sql, onConnectionAt: unsafe UInt(bitPattern: self.handle))
    }
}

/// A statement that only this connection uses.
private struct PreparedStatement: ~Copyable {
    let handle: StatementHandle

    /// Prepares a statement.
    ///
    /// - Parameters:
    ///   - sql: The statement.
    ///   - address: That of the connection, which has to be there for as long as the statement.
    /// - Throws: What SQLite says.
    init(_ sql: String, onConnectionAt address: UInt) throws {
        let connection = unsafe OpaquePointer(bitPattern: address)
        var prepared: OpaquePointer?
        let code = unsafe sqlite3_prepare_v3(
            connection, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &prepared, nil)
        guard let handle = unsafe prepared else {
            throw DatabaseError(
                resultCode: ResultCode(rawValue: code), message: unsafe String(cString: sqlite3_errmsg(connection)))
        }
        self.handle = unsafe StatementHandle(handle)
    }

    deinit {
        self.handle.finalize()
    }
}

/// A statement of SQLite's own interface, which its owner finalizes.
@safe
private struct StatementHandle {
    private let handle: OpaquePointer

    init(_ handle: OpaquePointer) {
        unsafe self.handle = handle
    }

    func finalize() {
        unsafe sqlite3_finalize(self.handle)
    }

    /// The one column of the one row that belongs to a key.
    func blob(for key: [UInt8]) throws -> [UInt8]? {
        defer { unsafe sqlite3_reset(self.handle) }
        try self.bind(key, at: 1)
        guard try self.step() else { return nil }
        // Safe: the bytes are copied before the statement moves on.
        guard let start = unsafe sqlite3_column_blob(self.handle, 0) else { return [] }
        let count = unsafe Int(sqlite3_column_bytes(self.handle, 0))
        return unsafe Array(UnsafeRawBufferPointer(start: start, count: count))
    }

    /// Runs a statement that has these parameters, and no rows.
    func run(_ key: [UInt8], _ expires: Int64, _ leaseEnd: Int64?, _ content: [UInt8]) throws {
        defer {
            unsafe sqlite3_reset(self.handle)
            // The bound values can be as large as a response.
            unsafe sqlite3_clear_bindings(self.handle)
        }
        try self.bind(key, at: 1)
        try self.check(unsafe sqlite3_bind_int64(self.handle, 2, expires))
        if let leaseEnd {
            try self.check(unsafe sqlite3_bind_int64(self.handle, 3, leaseEnd))
        } else {
            try self.check(unsafe sqlite3_bind_null(self.handle, 3))
        }
        try self.bind(content, at: 4)
        _ = try self.step()
    }

    private func bind(_ bytes: [UInt8], at index: Int32) throws {
        // Safe: SQLite copies the bytes before it returns.
        let code = unsafe bytes.withUnsafeBytes { buffer in
            unsafe sqlite3_bind_blob64(
                self.handle, index, buffer.baseAddress, UInt64(buffer.count),
                unsafeBitCast(-1, to: sqlite3_destructor_type.self))
        }
        try self.check(code)
    }

    /// - Returns: Whether there is a row.
    private func step() throws -> Bool {
        let code = unsafe sqlite3_step(self.handle)
        if code == SQLITE_ROW { return true }
        if code != SQLITE_DONE { try self.check(code) }
        return false
    }

    private func check(_ code: Int32) throws {
        guard code != SQLITE_OK else { return }
        let message = unsafe String(cString: sqlite3_errmsg(sqlite3_db_handle(self.handle)))
        throw DatabaseError(resultCode: ResultCode(rawValue: code), message: message)
    }
}

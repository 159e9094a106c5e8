#if PostgresNIO
import Idemptx
import IdemptxPostgres
import Logging
import NIOCore
import PostgresNIO

/// Why a statement has no result.
enum StatementFailure: Error {
    /// The server has refused it, and rolled it back.
    case refused(PostgresServerError)
    /// It was not sent: the connection is closed.
    case notSent
    /// It was sent, and no reply came.
    case lost(any Error)

    /// What an executor throws.
    ///
    /// - Parameter code: What it means that there is no reply.
    /// - Returns: The error.
    func error(ifLost code: StoreError.Code) -> any Error {
        switch self {
        case .refused(let refusal): refusal
        case .notSent: StoreError(.unavailable, "The connection to PostgreSQL is closed.")
        // Not the error itself: it holds the statement.
        case .lost(let error): StoreError(code, "The connection to PostgreSQL was lost.", underlyingError: error)
        }
    }
}

extension PostgresConnection {
    /// Runs a statement.
    ///
    /// - Throws: ``StatementFailure``.
    func run(_ query: PostgresQuery) async throws -> PostgresQueryResult {
        do {
            // On the thread of the connection, which closes nowhere else: a statement to a closed one never ends.
            return try await self.eventLoop.flatSubmit {
                if self.isClosed { return self.eventLoop.makeFailedFuture(StatementFailure.notSent) }
                return self.query(query, logger: Logger.current)
            }.get()
        } catch let error as PSQLError {
            throw StatementFailure(error)
        } catch let failure as StatementFailure {
            throw failure
        } catch {
            throw StatementFailure.lost(error)
        }
    }

    /// Runs a statement, which need not be committed yet.
    ///
    /// - Returns: The values of each row, and the command that the server says it was, such as `INSERT`.
    /// - Throws: ``StatementFailure``.
    func values(of statement: PostgresStatement) async throws -> (rows: [[PostgresValue]], command: String) {
        let result = try await self.run(PostgresQuery(statement))
        do {
            return (try result.rows.map { try $0.map { try PostgresValue($0) } }, result.metadata.command)
        } catch {
            throw StatementFailure.lost(error)
        }
    }

    /// Returns when the server has ended what was sent before: only then PostgresNIO sends the next statement, and it
    /// closes the connection if that end was an error.
    ///
    /// - Throws: ``StatementFailure/lost(_:)``, whatever happens to the empty statement.
    func waitUntilReady() async throws {
        do {
            _ = try await self.run("")
        } catch {
            throw StatementFailure.lost(error)
        }
    }

    /// Closes the connection without a word to the server.
    func abort() {
        let _: EventLoopFuture<Void> = self.close()
    }
}

extension StatementFailure {
    fileprivate init(_ error: PSQLError) {
        guard error.code == .server, let info = error.serverInfo, info[.severity] == "ERROR",
            let state = info[.sqlState]
        else {
            // A fatal error can come in the middle of a commit.
            self = .lost(error)
            return
        }
        self = .refused(PostgresServerError(sqlState: state, message: info[.message] ?? ""))
    }
}

extension PostgresQuery {
    fileprivate init(_ statement: PostgresStatement) {
        var bindings = PostgresBindings(capacity: statement.parameters.count)
        for parameter in statement.parameters {
            switch parameter {
            case .null: bindings.appendNull()
            case .integer(let number): bindings.append(number)
            case .boolean(let isTrue): bindings.append(isTrue)
            case .text(let text): bindings.append(text)
            case .bytes(let bytes): bindings.append(ByteBuffer(bytes: bytes))
            }
        }
        self.init(unsafeSQL: statement.sql, binds: bindings)
    }
}

extension PostgresValue {
    fileprivate init(_ cell: PostgresCell) throws {
        guard let bytes = cell.bytes else {
            self = .null
            return
        }
        self =
            switch cell.dataType {
            case .bool: .boolean(try cell.decode(Bool.self))
            case .bytea: .bytes(Array(bytes.readableBytesView))
            case .int2, .int4, .int8: .integer(try cell.decode(Int64.self))
            default: .text(try cell.decode(String.self))
            }
    }
}
#endif

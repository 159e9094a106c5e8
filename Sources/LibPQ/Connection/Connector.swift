import Foundation
import Synchronization

/// Makes connections, each on a thread of its own, since libpq blocks: it looks up names, and only when it blocks does it go
/// on to the next host of a list after `connect_timeout`.
struct Connector: Sendable {
    let pq: PQFunctions
    let settings: ConnectionSettings
    let usesPipelines: Bool

    /// Connects, and calls `completion` on another thread.
    func connect(_ completion: @escaping @Sendable (Result<OpenedConnection, PostgresError>) -> Void) {
        let thread = Thread { completion(Result { () throws(PostgresError) in try self.open() }) }
        thread.name = "libpq connect"
        thread.start()
    }

    private func open() throws(PostgresError) -> OpenedConnection {
        let pointer = unsafe self.pq.withParameters(self.settings.parameters) {
            unsafe self.pq.connectdbParams($0, $1, 1)
        }
        guard let pointer = unsafe pointer else { throw .unavailable("There is no memory for a connection.") }
        let opened = unsafe OpenedConnection(pointer, self.pq)
        guard unsafe self.pq.status(pointer) == PQ.connectionOK else { throw unsafe self.failure(pointer) }
        // What the server has to remark goes nowhere; libpq would print it.
        _ = unsafe self.pq.setNoticeProcessor(pointer, { _, _ in }, nil)
        guard unsafe self.pq.setnonblocking(pointer, 1) == 0 else { throw unsafe self.failure(pointer) }
        if self.usesPipelines, let pipeline = self.pq.pipeline, unsafe pipeline.enter(pointer) != 1 {
            throw unsafe self.failure(pointer)
        }
        return opened
    }

    private func failure(_ connection: OpaquePointer) -> PostgresError {
        let sentence = Self.hidingNumber(in: "\(unsafe self.pq.sentence(self.pq.errorMessage(connection))).")
        if Self.isRefusedByLibPQ(sentence) {
            // Of several hosts, one that was asked before may be there the next time.
            return sentence.contains(" to server ") ? .misconfigured(sentence) : .settingsRefused(sentence)
        }
        let isMisconfigured = unsafe self.pq.connectionNeedsPassword(connection) == 1 || Self.isRefusal(sentence)
        return isMisconfigured ? .misconfigured(sentence) : .unavailable(sentence)
    }

    /// Whether nothing but a change of settings helps.
    ///
    /// libpq tells it by nothing but words. A server that speaks another language is taken to be away instead.
    private static func isRefusal(_ sentence: String) -> Bool {
        let signs = [
            "authentication failed", "no pg_hba.conf entry", "pg_hba.conf rejects", "does not exist",
            "not permitted to log in",
            "no such database", "no such user", "does not support SSL", "SSL required", "certificate verify failed",
            "does not match host name",
        ]
        return signs.contains { sentence.contains($0) }
    }

    /// Whether libpq finds fault with the settings, and not a server.
    private static func isRefusedByLibPQ(_ sentence: String) -> Bool {
        let signs = [
            "definition of service", "service file", "invalid port number", "invalid integer value", " value: \"",
            "could not match",
        ]
        return signs.contains { sentence.contains($0) }
    }

    /// What stands in the place of a number, such as a port, may be a part of a password.
    private static func hidingNumber(in sentence: String) -> String {
        // Byte by byte: to Swift, a quotation mark that a combining mark follows is another character.
        let text = sentence.utf8
        let signs = ["invalid port number", "invalid integer value"]
        guard let sign = signs.compactMap({ text.firstRange(of: $0.utf8) }).first else { return sentence }
        let rest = text[sign.upperBound...]
        let quote = UInt8(ascii: "\"")
        let end = rest.ranges(of: "\" for connection option \"".utf8).last?.lowerBound ?? rest.lastIndex(of: quote)
        guard let start = rest.firstIndex(of: quote), let end, start < end else { return sentence }
        return "\(sentence[...start])…\(sentence[end...])"
    }
}

/// A connection on its way from the thread that made it to the one that uses it; closed if it is not taken.
final class OpenedConnection: Sendable {
    // The address as a number, since a pointer may not change threads; only one of them takes it.
    private let address: Atomic<UInt>
    private let pq: PQFunctions

    init(_ pointer: OpaquePointer, _ pq: PQFunctions) {
        self.address = Atomic(UInt(bitPattern: pointer))
        self.pq = pq
    }

    deinit {
        if let pointer = unsafe self.take() { unsafe self.pq.finish(pointer) }
    }

    /// Gives the connection to the caller, who has to finish it.
    func take() -> OpaquePointer? {
        unsafe OpaquePointer(bitPattern: self.address.exchange(0, ordering: .acquiringAndReleasing))
    }
}

/// Numbers of libpq's header.
enum PQ {
    // ConnStatusType
    static let connectionOK: Int32 = 0
    // PGTransactionStatusType
    static let idle: Int32 = 0
    // ExecStatusType
    static let emptyQuery: Int32 = 0
    static let commandOK: Int32 = 1
    static let tuplesOK: Int32 = 2
    static let fatalError: Int32 = 7
    static let pipelineSync: Int32 = 10
    static let pipelineAborted: Int32 = 11
    // Fields of an error.
    static let severity = Int32(UInt8(ascii: "V"))
    static let sqlState = Int32(UInt8(ascii: "C"))
    static let detail = Int32(UInt8(ascii: "D"))
    static let hint = Int32(UInt8(ascii: "H"))
    static let constraint = Int32(UInt8(ascii: "n"))
    static let primaryMessage = Int32(UInt8(ascii: "M"))
}

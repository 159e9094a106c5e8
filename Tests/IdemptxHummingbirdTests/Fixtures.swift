import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Idemptx
import IdemptxHummingbird
import Synchronization
import Testing

/// Counts what must not happen twice.
final class Ledger: Sendable {
    private let entries = Mutex<[String]>([])

    var count: Int { self.entries.withLock { $0.count } }

    /// - Returns: The number of the entry.
    @discardableResult
    func add(_ entry: String = "") -> Int {
        self.entries.withLock { entries in
            entries.append(entry)
            return entries.count
        }
    }
}

/// Holds tasks back until it is opened.
final class Gate: Sendable {
    private struct State {
        var isOpen = false
        var arrivals = 0
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    /// How many tasks have come to the gate.
    var arrivals: Int { self.state.withLock { $0.arrivals } }

    func open() {
        let waiters = self.state.withLock { state in
            state.isOpen = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    func pass() async {
        await withCheckedContinuation { continuation in
            let isOpen = self.state.withLock { state in
                state.arrivals += 1
                if !state.isOpen { state.waiters.append(continuation) }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
    }
}

struct Charge: ResponseCodable, Equatable {
    let id: Int
    let amount: Int
}

struct Order: Codable {
    let amount: Int
}

extension ByteBuffer {
    static func order(_ amount: Int) -> ByteBuffer { ByteBuffer(string: #"{"amount":\#(amount)}"#) }
}

extension TestResponse {
    var text: String { String(buffer: self.body) }

    var problem: [String: Any] {
        get throws {
            try #require(try JSONSerialization.jsonObject(with: Data(self.body.readableBytesView)) as? [String: Any])
        }
    }

    /// What a replay has to repeat: everything but what belongs to the exchange.
    var repeatable: [String] {
        let exchange: Set<HTTPField.Name> = [
            .date, .server, .contentLength, .idempotencyStatus, .idempotentReplayed, .connection, .transferEncoding,
        ]
        return ["\(self.status.code)"]
            + self.headers.filter { !exchange.contains($0.name) }.map { "\($0.name.rawName): \($0.value)" }
            + [Data(self.body.readableBytesView).base64EncodedString()]
    }
}

let everySetup: [TestingSetup] = [.router, .live, .ahc()]

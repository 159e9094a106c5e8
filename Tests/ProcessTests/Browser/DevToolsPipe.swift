import Foundation
import Synchronization

/// Chromium's DevTools protocol over its standard streams: JSON objects, each ended by a zero byte.
final class DevToolsPipe: Sendable {
    private struct State {
        var received = Data()
        var lastID = 0
        var callers: [Int: CheckedContinuation<Data, any Error>] = [:]
        var events: [Data] = []
        var isClosed = false
    }

    private struct Head: Decodable {
        let id: Int?
    }

    private struct Reply<Result: Decodable>: Decodable {
        struct Failure: Decodable {
            let message: String
        }

        let result: Result?
        let error: Failure?
    }

    private struct Done: Decodable {}

    let toBrowser = Pipe()
    let fromBrowser = Pipe()
    private let state = Mutex(State())

    init() {
        // A browser that is gone is an error of the call, not the end of the tests.
        signal(SIGPIPE, SIG_IGN)
        let output = self.fromBrowser.fileHandleForReading
        // It waits in between, which no thread of a pool should do.
        Thread.detachNewThread { [weak self] in
            var data: Data
            repeat {
                data = output.availableData
                self?.receive(data)
            } while !data.isEmpty
        }
    }

    /// What the browser has reported of its own accord.
    var events: [Data] { self.state.withLock(\.events) }

    /// Sends a command and waits for its result.
    func call<Result: Decodable>(
        _ method: String,
        _ parameters: [String: Any] = [:],
        session: String? = nil
    ) async throws -> Result {
        let id = self.state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        var command: [String: Any] = ["id": id, "method": method, "params": parameters]
        command["sessionId"] = session
        let message = try JSONSerialization.data(withJSONObject: command) + [0]
        let data = try await withCheckedThrowingContinuation { continuation in
            let isClosed = self.state.withLock { state in
                if !state.isClosed { state.callers[id] = continuation }
                return state.isClosed
            }
            if isClosed { return continuation.resume(throwing: Self.closed) }
            // If this fails, the other direction ends as well, and so does the call.
            try? self.toBrowser.fileHandleForWriting.write(contentsOf: message)
        }
        let reply = try JSONDecoder().decode(Reply<Result>.self, from: data)
        guard let result = reply.result else {
            throw DevToolsError("\(method) failed: \(reply.error?.message ?? "no result").")
        }
        return result
    }

    /// Sends a command of which nothing comes but that it is done.
    func tell(_ method: String, _ parameters: [String: Any] = [:], session: String? = nil) async throws {
        let _: Done = try await self.call(method, parameters, session: session)
    }

    private static let closed = DevToolsError("The browser has ended.")

    /// Takes what the browser has written; nothing is its end.
    private func receive(_ data: Data) {
        let messages = self.state.withLock { state in
            state.received += data
            var messages = state.received.split(separator: 0, omittingEmptySubsequences: false).map { Data($0) }
            state.received = messages.popLast() ?? Data()
            return messages
        }
        for message in messages { self.take(message) }
        guard data.isEmpty else { return }
        let callers = self.state.withLock { state in
            defer { state.callers = [:] }
            state.isClosed = true
            return state.callers.values
        }
        for caller in callers { caller.resume(throwing: Self.closed) }
    }

    private func take(_ message: Data) {
        let id = (try? JSONDecoder().decode(Head.self, from: message))?.id
        let caller = self.state.withLock { state in
            if id == nil { state.events.append(message) }
            return id.flatMap { state.callers.removeValue(forKey: $0) }
        }
        caller?.resume(returning: message)
    }
}

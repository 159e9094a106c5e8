import Foundation
import Synchronization

/// Asks servers to cancel what they run, each time on a thread of its own, since libpq blocks until the server has heard it.
enum Canceller {
    /// Threads that wait for servers that are halted; more are not started.
    private static let maximum = 16
    private static let running = Atomic(0)

    /// Asks for the end of what runs on a connection, which may be closed at once.
    ///
    /// The server may have gone on to the next statement by then, and cancel that one.
    static func cancel(_ connection: OpaquePointer, _ pq: PQFunctions) {
        guard self.running.wrappingAdd(1, ordering: .relaxed).newValue <= self.maximum,
            let cancel = unsafe pq.getCancel(connection)
        else {
            self.running.wrappingSubtract(1, ordering: .relaxed)
            return
        }
        let address = UInt(bitPattern: cancel)
        let thread = Thread {
            let cancel = unsafe OpaquePointer(bitPattern: address)
            var message = [CChar](repeating: 0, count: 256)
            // If it fails, the connection will be closed, and the statement has to end by itself.
            _ = unsafe pq.cancel(cancel, &message, Int32(message.count))
            unsafe pq.freeCancel(cancel)
            Self.running.wrappingSubtract(1, ordering: .relaxed)
        }
        thread.name = "libpq cancel"
        thread.start()
    }
}

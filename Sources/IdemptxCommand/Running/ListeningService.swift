import Foundation
import NIOCore
import ServiceLifecycle

/// A server whose failure to listen is told in a sentence.
struct ListeningService: Service {
    let server: any Service
    let address: HostPort
    /// What it waits for before it listens.
    var start: Beacon?

    func run() async throws {
        if let start, try await !start.wait() { return }
        do {
            try await self.server.run()
        } catch let error as IOError {
            // Safe: the text is copied before anything else can ask for one.
            throw self.listenError(unsafe String(cString: strerror(error.errnoCode)))
        } catch is SocketAddressError.UnknownHost {
            throw self.listenError("the host is unknown")
        }
    }

    private func listenError(_ reason: String) -> CommandError {
        CommandError("Cannot listen on \(self.address): \(reason).")
    }
}

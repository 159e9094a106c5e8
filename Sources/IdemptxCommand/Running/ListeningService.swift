import Foundation
import NIOCore
import ServiceLifecycle

/// A server whose failure to listen is told in a sentence.
struct ListeningService: Service {
    let server: any Service
    let host: String
    let port: Int

    func run() async throws {
        do {
            try await self.server.run()
        } catch let error as IOError {
            // Safe: the text is copied before anything else can ask for one.
            throw self.listenError(unsafe String(cString: strerror(error.errnoCode)))
        } catch is SocketAddressError.UnknownHost {
            throw self.listenError("the host is unknown")
        }
    }

    private func listenError(_ reason: String) -> StartError {
        StartError("Cannot listen on \(self.host):\(self.port): \(reason).")
    }
}

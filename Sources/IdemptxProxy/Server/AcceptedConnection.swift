import HummingbirdCore
import NIOCore
import NIOHTTPTypes
import Synchronization

/// A connection of HTTP/1 that has been accepted.
///
/// One that is accepted in the moment in which the server stops is handed to nobody. SwiftNIO ends the process if its
/// channel is just forgotten; here, it is closed.
final class AcceptedConnection: ServerChildChannelValue {
    private let asyncChannel: NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>
    private let isTaken = Mutex(false)

    init(_ asyncChannel: NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>) {
        self.asyncChannel = asyncChannel
    }

    deinit {
        guard self.isTaken.withLock({ !$0 }) else { return }
        let asyncChannel = self.asyncChannel
        // Nobody waits for it: there is nobody.
        Task { try await asyncChannel.executeThenClose { _, _ in } }
    }

    var channel: any Channel { self.asyncChannel.channel }

    /// The channel, for the one who sees to its end.
    func take() -> NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart> {
        self.isTaken.withLock { $0 = true }
        return self.asyncChannel
    }
}

import ServiceLifecycle

/// Tells one waiting task that something has come about.
struct Beacon {
    private let stream: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation

    init() {
        (self.stream, self.continuation) = AsyncStream.makeStream()
    }

    func light() {
        self.continuation.finish()
    }

    /// Waits until it is lit.
    ///
    /// - Returns: Whether it was; else there is a graceful shutdown.
    func wait() async throws -> Bool {
        for await _ in self.stream.cancelOnGracefulShutdown() {}
        try Task.checkCancellation()
        return !Task.isShuttingDownGracefully
    }
}

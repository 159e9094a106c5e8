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
    func wait() async throws {
        for await _ in self.stream {}
        try Task.checkCancellation()
    }
}

/// What a server of our own has to do with how the driver leads a request.
package struct ServerHooks: Sendable {
    /// Where the operation runs; `nil` for the common pool.
    ///
    /// On the event loop that read the request, no step of it changes the thread.
    package var executor: (any TaskExecutor)?

    /// Called when the request begins to wait for another attempt: nothing of its own is under way then.
    package var onWait: (@Sendable () -> Void)?

    package init(executor: (any TaskExecutor)? = nil, onWait: (@Sendable () -> Void)? = nil) {
        self.executor = executor
        self.onWait = onWait
    }
}

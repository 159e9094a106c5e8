/// Is told when a request begins to wait for another attempt: from then on, nothing of its own is under way.
package enum WaitObserver {
    @TaskLocal package static var onWait: (@Sendable () -> Void)?
}

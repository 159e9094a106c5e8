import NIOCore

/// A timer for a deadline that moves with nearly every event.
///
/// Moving it later costs nothing: the timer comes at the old time, finds that it is too early, and is set anew.
final class DeadlineTimer {
    private struct Alarm {
        let time: NIODeadline
        let task: Scheduled<Void>
    }

    private let eventLoop: any EventLoop
    private var alarm: Alarm?

    init(on eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    /// Sees to it that `check` is called at `deadline`, or before.
    ///
    /// - Parameters:
    ///   - deadline: `nil` if there is nothing to wait for.
    ///   - check: Looks whether the time is over, and sets the timer again if it is not.
    func set(for deadline: NIODeadline?, _ check: @escaping () -> Void) {
        guard let deadline else { return }
        if let alarm, alarm.time <= deadline { return }
        self.cancel()
        let task = self.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) {
            self.alarm = nil
            check()
        }
        self.alarm = Alarm(time: deadline, task: task)
    }

    func cancel() {
        self.alarm?.task.cancel()
        self.alarm = nil
    }
}

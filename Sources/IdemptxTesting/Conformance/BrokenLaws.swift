import Synchronization
import Testing

/// The expectations of a law that were not met, kept back until it is known whether the law could be judged.
final class BrokenLaws: Sendable {
    private let laws = Mutex<[Comment]>([])

    var all: [Comment] { self.laws.withLock { $0 } }

    func add(_ law: Comment) {
        self.laws.withLock { $0.append(law) }
    }
}

import Idemptx

/// The client of the store, with the mistakes of mutants.
extension Mutant {
    /// What a mutant remembers of the calls of a process.
    struct Memory: Sendable {
        /// Claims of which some call has failed, or was refused.
        fileprivate var failed: Set<String> = []
        fileprivate var refused: Set<OwnerToken> = []

        mutating func noteFailure(of call: StoreCall) {
            self.failed.insert("\(call.name) \(call.owner)")
        }

        mutating func noteReply(_ isDone: Bool, to call: StoreCall) {
            if !isDone, case .renew = call { self.refused.insert(call.owner) }
        }
    }

    /// What the engine gets instead of what the store replies.
    enum Shortcut {
        case reply(Bool)
        case replyBeforeSending(Bool)
        case error(StoreError)
        /// No reply comes, ever.
        case silence
    }

    func shortcut(for call: StoreCall, _ memory: Memory) -> Shortcut? {
        switch (self, call) {
        case (.withdrawalNotRepeated, .release) where memory.failed.contains("\(call.name) \(call.owner)"):
            .reply(true)
        case (.withdrawalNotRepeated, .renew(_, .zero)) where memory.failed.contains("\(call.name) \(call.owner)"):
            .reply(true)
        case (.retrierForgets, .complete) where memory.failed.contains("\(call.name) \(call.owner)"):
            .error(StoreError(.corruptRecord, "A mutant gives up."))
        case (.sentBeforeStored, .complete): .replyBeforeSending(true)
        case (.refusedRenewalIsLast, .renew) where memory.refused.contains(call.owner): .silence
        case (.neverRenews, .renew(_, let lease)) where lease > .zero: .reply(true)
        default: nil
        }
    }

    /// What a renewal, completion or release comes to that has failed.
    static func result(_ mutant: Mutant?, of call: StoreCall, after error: any Error) throws -> Bool {
        guard case .complete = call, (error as? StoreError)?.code == .replyLost else { throw error }
        switch mutant {
        case .lostReplyIsRefusal: return false
        case .lostReplyIsSuccess: return true
        default: throw error
        }
    }
}

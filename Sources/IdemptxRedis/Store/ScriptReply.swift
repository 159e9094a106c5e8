import Idemptx

/// What a script of ``RecordScripts`` answered.
struct ScriptReply {
    let answer: RedisReply
    /// How many replicas have acknowledged the write; `nil` if nobody asked.
    let acknowledgements: Int?

    init(_ replies: [RedisReply]) throws(StoreError) {
        self.answer = try replies[0].get()
        guard replies.count > 1 else {
            self.acknowledgements = nil
            return
        }
        guard case .integer(let count) = try replies[1].get() else { throw Self.unexpected }
        self.acknowledgements = count
    }

    /// The answer of a script that says yes or no.
    func flag() throws(StoreError) -> Bool {
        guard case .integer(let flag) = self.answer else { throw Self.unexpected }
        return flag == 1
    }

    func claimDecision() throws(StoreError) -> ClaimDecision {
        let elements = self.answer.elements
        switch (elements.first?.text, elements.dropFirst().first) {
        case ("execute", .integer(let attempt)): return .execute(attempt: attempt)
        case ("inProgress", .integer(let milliseconds)): return .inProgress(remainingLease: .milliseconds(milliseconds))
        case ("mismatch", _): return .mismatch
        case ("outcomeUnknown", _): return .outcomeUnknown
        case ("replay", .bytes(let bytes)):
            guard case .completed(let outcome) = try RecordCodec.decode(bytes).state else { throw Self.unexpected }
            return .replay(outcome)
        default: throw Self.unexpected
        }
    }

    func operatorRelease() throws(StoreError) -> OperatorRelease {
        let elements = self.answer.elements
        switch (elements.first?.text, elements.dropFirst().first) {
        case ("released", _): return .released
        case ("absent", _): return .absent
        case ("completed", _): return .completed
        case ("leaseRunning", .integer(let milliseconds)): return .leaseRunning(remaining: .milliseconds(milliseconds))
        default: throw Self.unexpected
        }
    }

    static var unexpected: StoreError {
        StoreError(.outcomeUnknown, "Redis sent a reply that the script does not make.")
    }
}

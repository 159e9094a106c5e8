/// One step in the life of a record: the answer to the caller, and what becomes of the record.
public struct Transition<Answer: Sendable>: Sendable {
    /// The answer to the caller.
    public let answer: Answer

    /// What becomes of the record.
    public let change: RecordChange

    init(_ answer: Answer, _ change: RecordChange = .none) {
        self.answer = answer
        self.change = change
    }
}

extension Transition: Equatable where Answer: Equatable {}

/// What a store does to a record after a transition.
public enum RecordChange: Hashable, Sendable {
    /// Nothing.
    case none
    /// It becomes this one, until the expiry this one names.
    case write(IdempotencyRecord)
    /// It is removed.
    case remove

    /// Does to `record` what the change says.
    ///
    /// - Parameter record: What the store holds, or `nil`.
    public func apply(to record: inout IdempotencyRecord?) {
        switch self {
        case .none: break
        case .write(let written): record = written
        case .remove: record = nil
        }
    }
}

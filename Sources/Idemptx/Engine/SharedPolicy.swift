/// A policy that is passed on by reference: a request hands it to many functions, and copying one takes longer than a
/// lookup in a store.
@dynamicMemberLookup
final class SharedPolicy: Sendable {
    let values: IdempotencyPolicy

    init(_ values: IdempotencyPolicy) {
        self.values = values
    }

    subscript<Value>(dynamicMember field: KeyPath<IdempotencyPolicy, Value>) -> Value {
        self.values[keyPath: field]
    }
}

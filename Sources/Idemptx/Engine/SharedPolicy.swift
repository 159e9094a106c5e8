package import HTTPTypes

/// A policy that is passed on by reference: a request hands it to many functions, and copying one takes longer than a
/// lookup in a store.
@dynamicMemberLookup
package final class SharedPolicy: Sendable {
    package let values: IdempotencyPolicy
    /// Which requests it is for, in the log; `nil` if for all.
    package let route: String?

    package init(_ values: IdempotencyPolicy, route: String?) {
        self.values = values
        self.route = route
    }

    package convenience init(_ values: IdempotencyPolicy) {
        self.init(values, route: nil)
    }

    package subscript<Value>(dynamicMember field: KeyPath<IdempotencyPolicy, Value>) -> Value {
        self.values[keyPath: field]
    }
}

extension SharedPolicy {
    /// Whether a request may be guarded, as far as can be told without its body: one for which this is `false` passes.
    ///
    /// - Parameters:
    ///   - method: The method of the request.
    ///   - hasField: Whether it has a field of a name.
    /// - Returns: Whether the driver has to look at it.
    package func mayGuard(_ method: String, hasField: (HTTPField.Name) -> Bool) -> Bool {
        guard self.mode != .off, self.methods.contains(where: { $0.rawValue == method }) else { return false }
        return self.required || self.keySource.mayHaveKey(hasField: hasField)
    }
}

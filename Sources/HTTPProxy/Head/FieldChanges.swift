/// What a handler changes of the fields of a request or a response that it forwards.
package struct FieldChanges: Sendable {
    /// The names of fields that do not go on.
    package var removed: [String]
    /// Fields that go on besides; the ones that were sent with these names do not.
    package var added: [(name: String, value: String)]

    package init(removed: [String] = [], added: [(name: String, value: String)] = []) {
        self.removed = removed
        self.added = added
    }

    func passes(_ name: String) -> Bool {
        guard !self.removed.isEmpty || !self.added.isEmpty else { return true }
        let name = name.lowercased()
        return !self.removed.contains { $0.lowercased() == name }
            && !self.added.contains { $0.name.lowercased() == name }
    }
}

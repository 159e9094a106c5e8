/// The header fields that a handler removes from a request or a response, and those that it adds.
package struct FieldChanges: Sendable {
    /// The names of the removed fields, in lower case.
    ///
    /// Fields that the proxy itself interprets must not be among them.
    package var removed: [String]
    /// The added fields.
    package var added: [(name: String, value: String)]

    package init(removed: [String] = [], added: [(name: String, value: String)] = []) {
        self.removed = removed
        self.added = added
    }

    func passes(_ name: some Collection<UInt8>) -> Bool {
        !self.removed.contains { $0.utf8.count == name.count && name.equalsLowercased($0) }
    }
}

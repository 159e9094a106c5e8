/// What a handler changes of the fields of a request or a response, whoever makes it.
package struct FieldChanges: Sendable {
    /// The names of fields that do not go on, in lower case; none that the proxy itself has to know.
    package var removed: [String]
    /// Fields that go on besides.
    package var added: [(name: String, value: String)]

    package init(removed: [String] = [], added: [(name: String, value: String)] = []) {
        self.removed = removed
        self.added = added
    }

    func passes(_ name: some Collection<UInt8>) -> Bool {
        !self.removed.contains { $0.utf8.count == name.count && name.equalsLowercased($0) }
    }
}

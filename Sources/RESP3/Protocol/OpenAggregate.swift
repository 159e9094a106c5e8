/// An aggregate whose elements are still coming.
struct OpenAggregate {
    enum Kind {
        case array
        case map
        case set
        case push
        /// Something the server adds about the value that follows. It was not asked for, and is dropped.
        case attribute
    }

    let kind: Kind
    /// How many elements are to come; a pair counts as two.
    private(set) var remaining: Int
    // Grows with what arrives, since the count is only a claim of the peer.
    private var elements: [RESPValue] = []

    init(kind: Kind, count: Int) {
        self.kind = kind
        self.remaining = kind == .map || kind == .attribute ? count * 2 : count
    }

    mutating func append(_ element: RESPValue) {
        self.remaining -= 1
        if self.kind != .attribute { self.elements.append(element) }
    }

    /// The complete aggregate; `nil` for an attribute.
    var value: RESPValue? {
        switch self.kind {
        case .array: .array(self.elements)
        case .set: .set(self.elements)
        case .push: .push(self.elements)
        case .map:
            .map(
                stride(from: 0, to: self.elements.count - 1, by: 2).map {
                    RESPValue.Pair(self.elements[$0], self.elements[$0 + 1])
                })
        case .attribute: nil
        }
    }
}

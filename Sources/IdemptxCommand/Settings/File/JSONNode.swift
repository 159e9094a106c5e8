/// A value in a JSON text, and where it is.
struct JSONNode {
    enum Value {
        case null
        case flag(Bool)
        case number(String)
        case text(String)
        case array([JSONNode])
        case object([JSONMember])
    }

    let line: Int
    let value: Value

    /// The elements of an array; none of `null`.
    var elements: [JSONNode]? {
        switch self.value {
        case .null: []
        case .array(let nodes): nodes
        default: nil
        }
    }
}

/// A name in an object, and its value.
struct JSONMember {
    let name: String
    let node: JSONNode
}

/// What is wrong with a JSON text.
struct JSONFlaw: Error, CustomStringConvertible {
    let line: Int
    let description: String

    init(line: Int, _ description: String) {
        self.line = line
        self.description = description
    }
}

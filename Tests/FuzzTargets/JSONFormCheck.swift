@testable import Idemptx

/// Two JSON texts have one form if Foundation's parser finds them equal in structure and literals, and no two others have.
///
/// That a form is read as its text is shows that no two others have it; that a text in another style has the same form
/// shows that it depends on nothing else.
struct JSONFormCheck {
    var canonicalize: @Sendable ([UInt8]) -> [UInt8]? = { CanonicalJSON.canonicalize($0) }

    func check(_ text: [UInt8]) throws {
        let form = self.canonicalize(text)
        let tree: JSONTree
        do {
            tree = try JSONTree(text)
        } catch .malformed {
            return try Violation.unless(form == nil, "A text has a form that Foundation cannot read")
        } catch .repeatedName(let tree) {
            let mayDiffer = tree.names.contains { $0.contains { $0 >= 0x80 } }
            return try Violation.unless(form == nil || mayDiffer, "A text with a repeated name has a form")
        }
        guard tree.depth <= CanonicalJSON.maximumDepth else {
            return try Violation.unless(form == nil, "A text has a form that is nested too deep")
        }
        guard let form else { throw Violation("A text has no form that Foundation can read") }
        try Violation.unless((try? JSONTree(form)) == tree, "The form is not what the text is")
        try Violation.unless(self.canonicalize(form) == form, "The form of the form is another")
        try Violation.unless(self.canonicalize(tree.rewritten) == form, "In another style, the form is another")
    }
}

/// How the input differs from its canonical form.
struct CanonicalJSONChanges {
    /// Input that is dropped, or replaced by a character of a string.
    struct Edit {
        let range: Range<Int32>
        let replacement: Unicode.Scalar?
    }

    /// From the quote before its name to the end of its value.
    struct Member {
        let range: Range<Int32>
        /// Its name, with its quotes, in the input, or in the names that had to be rewritten.
        let name: Range<Int32>
        /// What follows the first quote of the name, as a number: most names differ there.
        ///
        /// A shorter name ends with its second quote, and then zeros, which occur in no name.
        let firstBytes: UInt64
        let isNameRewritten: Bool
        let isIgnored: Bool
        /// Whether it is written as it stands.
        let isCanonical: Bool
    }

    /// An object whose members are not written as they stand.
    struct Object {
        /// With its braces.
        let range: Range<Int32>
        /// Where its members are in ``members``, sorted by name.
        let members: Range<Int>
    }

    /// In the order of the input; none lies in another.
    var edits: [Edit] = []
    /// In the order of their ends while the text is read.
    var objects: [Object] = []
    var members: [Member] = []

    var isEmpty: Bool { self.edits.isEmpty && self.objects.isEmpty }
}

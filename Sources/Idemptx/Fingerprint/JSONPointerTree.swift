/// The places in a JSON text that some pointers lead to, so that they are found while the text is read.
struct JSONPointerTree: Hashable, Sendable {
    /// A value to which a pointer leads, or on whose way it is.
    typealias Place = Int

    private struct Node: Hashable, Sendable {
        var children: [Child] = []
        var isIgnored = false
        var isKey = false
    }

    private struct Child: Hashable, Sendable {
        /// What leads here from an object: a name with its quotes, in its canonical form.
        let name: [UInt8]
        /// What leads here from an array.
        let index: Int?
        let place: Place
    }

    private var nodes: [Node] = []

    /// - Parameter ignored: Leads to the members that are left out. Elements of arrays cannot be: the others would move.
    init(ignored: [JSONPointer] = []) {
        for pointer in ignored {
            self.nodes[self.insert(pointer)].isIgnored = true
        }
    }

    /// The same places, and that of the key.
    func markingKey(at pointer: JSONPointer) -> JSONPointerTree {
        var tree = self
        tree.nodes[tree.insert(pointer)].isKey = true
        return tree
    }

    private mutating func insert(_ pointer: JSONPointer) -> Place {
        if self.nodes.isEmpty { self.nodes.append(Node()) }
        var place = 0
        for token in pointer.tokens {
            var name: [UInt8] = [UInt8(ascii: "\"")]
            for scalar in token.unicodeScalars { name.append(canonical: scalar) }
            name.append(UInt8(ascii: "\""))
            if let child = self.nodes[place].children.first(where: { $0.name == name }) {
                place = child.place
                continue
            }
            let child = Child(name: name, index: Self.index(token), place: self.nodes.count)
            self.nodes[place].children.append(child)
            self.nodes.append(Node())
            place = child.place
        }
        return place
    }

    /// An index without a sign and without leading zeros (RFC 6901, section 4).
    private static func index(_ token: String) -> Int? {
        guard token.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
        guard token == "0" || token.utf8.first != UInt8(ascii: "0") else { return nil }
        return Int(token)
    }

    /// The whole text; `nil` if no pointer leads anywhere.
    var root: Place? { self.nodes.isEmpty ? nil : 0 }

    func child(of place: Place, named name: ArraySlice<UInt8>) -> Place? {
        self.nodes[place].children.first { $0.name.elementsEqual(name) }?.place
    }

    func child(of place: Place, at index: Int) -> Place? {
        self.nodes[place].children.first { $0.index == index }?.place
    }

    func isIgnored(_ place: Place) -> Bool { self.nodes[place].isIgnored }

    func isKey(_ place: Place) -> Bool { self.nodes[place].isKey }
}

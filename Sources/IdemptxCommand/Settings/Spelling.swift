/// Finds what a misspelt name may have meant.
enum Spelling {
    /// A question to add to an error, if a name is close to one that exists; else nothing.
    static func suggestion(for name: String, among known: some Sequence<String>) -> String {
        let distances = known.map { (distance: Self.distance($0, name), name: $0) }
        guard let nearest = distances.min(by: { $0 < $1 }), nearest.distance <= max(1, name.count / 4) else {
            return ""
        }
        return " Did you mean \(nearest.name)?"
    }

    /// How many characters have to be added, removed or replaced (Levenshtein).
    private static func distance(_ one: String, _ other: String) -> Int {
        let other = Array(other.lowercased())
        var row = Array(0...other.count)
        for (index, character) in one.lowercased().enumerated() {
            var next = [index + 1]
            for column in other.indices {
                let replaced = row[column] + (character == other[column] ? 0 : 1)
                next.append(min(replaced, row[column + 1] + 1, next[column] + 1))
            }
            row = next
        }
        return row[other.count]
    }
}

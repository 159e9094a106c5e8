/// Writes the canonical form of what a ``CanonicalJSONScanner`` has read.
///
/// Every byte is copied at most once, however deep it lies in objects that are sorted anew.
struct CanonicalJSONWriter {
    private let input: [UInt8]
    private let changes: CanonicalJSONChanges

    init(_ scanner: consuming CanonicalJSONScanner) {
        self.input = scanner.input
        var changes = scanner.changes
        changes.objects.sort { $0.range.lowerBound < $1.range.lowerBound }
        self.changes = changes
    }

    /// The canonical form of the value in `range`.
    func text(of range: Range<Int>) -> ArraySlice<UInt8> {
        if self.changes.isEmpty { return self.input[range] }
        var output: [UInt8] = []
        output.reserveCapacity(range.count)
        self.write(range, to: &output)
        return output[...]
    }

    private func write(_ range: Range<Int>, to output: inout [UInt8]) {
        let (edits, objects) = (self.changes.edits, self.changes.objects)
        var position = range.lowerBound
        var edit = edits.firstIndex(from: position, \.range)
        var object = objects.firstIndex(from: position, \.range)
        while true {
            let nextEdit = edit < edits.count ? Int(edits[edit].range.lowerBound) : .max
            let nextObject = object < objects.count ? Int(objects[object].range.lowerBound) : .max
            let next = Swift.min(nextEdit, nextObject, range.upperBound)
            output.append(contentsOf: self.input[position..<next])
            guard next < range.upperBound else { return }
            // White space right behind a brace is part of the object.
            if nextObject == next {
                self.write(membersOf: objects[object], to: &output)
                position = Int(objects[object].range.upperBound)
                edit = edits.firstIndex(from: position, \.range)
                object = objects.firstIndex(from: position, \.range)
            } else {
                if let scalar = edits[edit].replacement { output.append(canonical: scalar) }
                position = Int(edits[edit].range.upperBound)
                edit += 1
            }
        }
    }

    private func write(membersOf object: CanonicalJSONChanges.Object, to output: inout [UInt8]) {
        var isFirst = true
        for member in self.changes.members[object.members] where !member.isIgnored {
            if !isFirst { output.append(UInt8(ascii: ",")) }
            isFirst = false
            self.write(member.range.indices, to: &output)
        }
    }
}

extension Array {
    /// The index of the first element that does not start before `position`; the elements are sorted by that.
    fileprivate func firstIndex(from position: Int, _ range: KeyPath<Element, Range<Int32>>) -> Int {
        var candidates = self.indices
        while !candidates.isEmpty {
            let middle = candidates.lowerBound + candidates.count / 2
            if Int(self[middle][keyPath: range].lowerBound) < position {
                candidates = middle + 1..<candidates.upperBound
            } else {
                candidates = candidates.lowerBound..<middle
            }
        }
        return candidates.lowerBound
    }
}

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
        self.write(range, of: self.input.span, to: &output)
        return output[...]
    }

    private func write(_ range: Range<Int>, of input: Span<UInt8>, to output: inout [UInt8]) {
        let (edits, objects) = (self.changes.edits.span, self.changes.objects.span)
        var position = range.lowerBound
        var edit = edits.firstIndex(from: position) { $0.range }
        var object = objects.firstIndex(from: position) { $0.range }
        while true {
            let nextEdit = edit < edits.count ? Int(edits[edit].range.lowerBound) : .max
            let nextObject = object < objects.count ? Int(objects[object].range.lowerBound) : .max
            let next = Swift.min(nextEdit, nextObject, range.upperBound)
            output.append(copying: input.extracting(position..<next))
            guard next < range.upperBound else { return }
            if nextObject == next {
                self.write(membersOf: objects[object], of: input, to: &output)
                position = Int(objects[object].range.upperBound)
                edit = edits.firstIndex(from: position) { $0.range }
                object = objects.firstIndex(from: position) { $0.range }
            } else {
                if let scalar = edits[edit].replacement { output.append(canonical: scalar) }
                position = Int(edits[edit].range.upperBound)
                edit += 1
            }
        }
    }

    private func write(
        membersOf object: CanonicalJSONChanges.Object,
        of input: Span<UInt8>,
        to output: inout [UInt8]
    ) {
        output.append(UInt8(ascii: "{"))
        var isFirst = true
        for index in object.members where !self.changes.members[index].isIgnored {
            if !isFirst { output.append(UInt8(ascii: ",")) }
            isFirst = false
            let member = self.changes.members[index]
            if member.isCanonical {
                output.append(copying: input.extracting(member.range.indices))
            } else {
                self.write(member.range.indices, of: input, to: &output)
            }
        }
        output.append(UInt8(ascii: "}"))
    }
}

extension [UInt8] {
    fileprivate mutating func append(copying bytes: Span<UInt8>) {
        // An array does not take a span; the pointer is not used after the call.
        unsafe bytes.withUnsafeBufferPointer { unsafe self.append(contentsOf: $0) }
    }
}

extension Span {
    /// The index of the first element that does not start before `position`; the elements are sorted by that.
    fileprivate func firstIndex(from position: Int, range: (Element) -> Range<Int32>) -> Int {
        var candidates = self.indices
        while !candidates.isEmpty {
            let middle = candidates.lowerBound + candidates.count / 2
            if Int(range(self[middle]).lowerBound) < position {
                candidates = middle + 1..<candidates.upperBound
            } else {
                candidates = candidates.lowerBound..<middle
            }
        }
        return candidates.lowerBound
    }
}

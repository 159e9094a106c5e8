/// The key that stands somewhere in the JSON body of a request.
struct KeyInBody: Sendable {
    let pointer: JSONPointer
    private var body: [UInt8] = []

    init(at pointer: JSONPointer) {
        self.pointer = pointer
    }

    /// Adds the next bytes of the body.
    mutating func update(_ chunk: [UInt8]) {
        if self.body.isEmpty {
            self.body = chunk
        } else {
            self.body.append(contentsOf: chunk)
        }
    }

    /// Looks the key up in all of the body.
    ///
    /// - Returns: The key, or `nil` if there is none.
    /// - Throws: The rule that it breaks.
    func key(maximumLength: Int) throws(IdempotencyKey.ValidationError) -> IdempotencyKey? {
        guard let document = CanonicalJSON.canonicalize(self.body) else { throw .malformed }
        guard let value = CanonicalJSONValue(document[...])[self.pointer] else { return nil }
        guard let text = value.string ?? value.integer else { throw .malformed }
        return try IdempotencyKey(text, maximumLength: maximumLength)
    }
}

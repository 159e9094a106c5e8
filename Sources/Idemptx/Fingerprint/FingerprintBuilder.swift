import Crypto
package import HTTPTypes

/// Computes the fingerprint of an HTTP request while its body arrives.
///
/// A body that is compared byte for byte is hashed as it comes; one that is compared by structure is kept until
/// ``finalize()``.
package struct FingerprintBuilder: Sendable {
    private enum BodyForm: UInt8 {
        case bytes
        case json
        case form
        case multipart
    }

    private let recipe: FingerprintRecipe
    private let mediaType: MediaType?
    private let expectedForm: BodyForm
    /// Stands for method and path, which are compared even if two recipes differ otherwise.
    private let target: Digest32
    private var hasher = SHA256()
    private var collected: [UInt8] = []

    /// Starts with the head of the request.
    ///
    /// - Parameters:
    ///   - head: The method, path and header fields as received.
    ///   - recipe: What counts.
    package init(head: HTTPRequest, recipe: FingerprintRecipe = FingerprintRecipe()) {
        self.recipe = recipe
        let contentType = head.headerFields[.contentType]
        self.mediaType = contentType.flatMap(MediaType.init)
        self.expectedForm = recipe.body == .structure ? Self.form(of: self.mediaType) : .bytes

        var message: [UInt8] = []
        message.reserveCapacity(512)
        message.append(lengthPrefixed: head.method.rawValue.utf8)
        message.append(lengthPrefixed: (head.path ?? "").utf8)
        self.target = Digest32(hashing: message)
        message.append(lengthPrefixed: (self.mediaType?.comparable ?? contentType ?? "").utf8)
        for name in recipe.headers {
            let values = head.headerFields[values: name]
            message.append(lengthPrefixed: name.canonicalName.utf8)
            message.append(bigEndian: UInt64(values.count))
            for value in values {
                message.append(lengthPrefixed: value.utf8)
            }
        }
        self.hasher.update(data: message)
        if self.expectedForm == .bytes {
            self.hasher.update(data: [BodyForm.bytes.rawValue])
        }
    }

    /// Adds the next bytes of the body.
    ///
    /// - Parameter chunk: Any number of bytes; how a body is cut into chunks does not count.
    package mutating func update(_ chunk: [UInt8]) {
        if self.expectedForm == .bytes {
            self.hasher.update(data: chunk)
        } else if self.collected.isEmpty {
            self.collected = chunk
        } else {
            self.collected.append(contentsOf: chunk)
        }
    }

    /// Ends the body.
    ///
    /// - Returns: The fingerprint of head and body.
    package consuming func finalize() -> Fingerprint {
        if self.expectedForm != .bytes {
            // The body is the last field, so that it needs no length; its form keeps a raw body from passing for a
            // canonical one.
            if let canonical = self.canonicalBody() {
                self.hasher.update(data: [self.expectedForm.rawValue])
                self.hasher.update(data: canonical)
            } else {
                self.hasher.update(data: [BodyForm.bytes.rawValue])
                self.hasher.update(data: self.collected)
            }
        }
        let whole = Digest32(self.hasher.finalize()).bytes
        let bytes = self.target.bytes.prefix(Fingerprint.targetSize) + whole.dropLast(Fingerprint.targetSize)
        return Fingerprint(recipe: self.recipe.identifier, digest: Digest32(bytes) ?? self.target)
    }

    private func canonicalBody() -> [UInt8]? {
        switch self.expectedForm {
        case .bytes: nil
        case .json: CanonicalJSON.canonicalize(self.collected)
        case .form: CanonicalForm.canonicalize(self.collected)
        case .multipart: CanonicalMultipart.canonicalize(self.collected, boundary: self.mediaType?["boundary"])
        }
    }

    private static func form(of mediaType: MediaType?) -> BodyForm {
        guard let mediaType else { return .bytes }
        if mediaType.isJSON { return .json }
        if mediaType.essence == "application/x-www-form-urlencoded" { return .form }
        return mediaType.isMultipart ? .multipart : .bytes
    }
}

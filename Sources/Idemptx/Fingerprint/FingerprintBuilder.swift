import Crypto
package import HTTPTypes
import Synchronization

/// Computes the fingerprint of an HTTP request while its body arrives, and finds its key where that is in the body.
///
/// A body that is compared byte for byte is hashed as it comes. One that is compared by structure, or holds the key, is
/// kept until ``finalize()``, and read once.
package struct FingerprintBuilder: Sendable {
    private enum BodyForm: UInt8 {
        case bytes
        case json
        case form
        case multipart
    }

    private let head: HTTPRequest
    private let recipe: FingerprintRecipe
    private let mediaType: MediaType?
    private let expectedForm: BodyForm
    /// `nil` unless the key is in the body.
    private let keySource: KeySource?
    /// Stands for method and path, which are compared even if two recipes differ otherwise.
    private let target: UInt64
    /// What is hashed before the body; empty once it has been.
    private var prefix: [UInt8]
    private var hasher = SHA256()
    private var collected: [UInt8] = []

    /// Starts with the head of the request.
    ///
    /// - Parameters:
    ///   - head: The method, host, path and header fields as received.
    ///   - recipe: What counts.
    package init(head: HTTPRequest, recipe: FingerprintRecipe = .standard) {
        self.init(head: head, recipe: recipe, keySource: nil)
    }

    /// Starts with the head of the request.
    ///
    /// - Parameters:
    ///   - head: The method, host, path and header fields as received.
    ///   - recipe: What counts.
    ///   - keySource: Where the key is, if ``KeyInHead`` says that it is in the body; else `nil`.
    init(head: HTTPRequest, recipe: FingerprintRecipe, keySource: KeySource?) {
        self.head = head
        self.recipe = recipe
        self.keySource = keySource
        let contentType = head.headerFields.line(of: .contentType)
        self.mediaType = contentType.flatMap(MediaType.init)
        self.expectedForm = recipe.comparesStructure ? Self.form(of: self.mediaType) : .bytes

        var message: [UInt8] = []
        message.reserveCapacity(512)
        message.append(lengthPrefixed: head.method.rawValue.utf8)
        message.append(lengthPrefixed: (head.path ?? "").utf8)
        self.target = Digest32(hashing: message).words.0
        message.append(lengthPrefixed: (self.mediaType?.comparable ?? contentType ?? "").utf8)
        for name in recipe.headers {
            let values = head.headerFields[values: name]
            message.append(lengthPrefixed: name.canonicalName.utf8)
            message.append(bigEndian: UInt64(values.count))
            for value in values {
                message.append(lengthPrefixed: value.utf8)
            }
        }
        self.prefix = message
        if self.isHashedAsItComes {
            self.hash(BodyForm.bytes)
        }
    }

    /// The form of a body keeps a raw one from passing for a canonical one.
    private mutating func hash(_ form: BodyForm) {
        self.prefix.append(form.rawValue)
        self.hasher.update(bytes: self.prefix[...])
        self.prefix = []
    }

    private var isHashedAsItComes: Bool { self.expectedForm == .bytes && self.keySource == nil }

    /// Adds the next bytes of the body.
    ///
    /// - Parameter chunk: Any number of bytes; how a body is cut into chunks does not count.
    package mutating func update(_ chunk: [UInt8]) {
        if self.isHashedAsItComes {
            self.hasher.update(bytes: chunk[...])
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
        self.finalize(maximumKeyLength: 0).fingerprint
    }

    /// What a complete request is: its fingerprint, and its key if that is in its body.
    struct Reading {
        let fingerprint: Fingerprint
        /// The key that is in the body, `nil` if there is none, or the rule that it breaks.
        let key: Result<IdempotencyKey?, IdempotencyKey.ValidationError>
    }

    /// Ends the body.
    ///
    /// - Parameter maximumKeyLength: The longest key to accept, in characters.
    /// - Returns: The fingerprint of head and body, and the key.
    consuming func finalize(maximumKeyLength: Int) -> Reading {
        var keyText: Result<String?, IdempotencyKey.ValidationError> = .success(nil)
        if !self.isHashedAsItComes {
            let body = self.read()
            keyText = body.keyText
            // The body is the last field, so that it needs no length.
            self.hash(body.canonical == nil ? .bytes : self.expectedForm)
            self.hasher.update(bytes: body.canonical ?? self.collected[...])
        }
        let content = Digest32(self.hasher.finalize()).words
        let host = self.recipe.fingerprintHost ? self.hostWord : content.2
        let fingerprint = Fingerprint(
            recipe: self.recipe.identifier, digest: Digest32(words: (self.target, content.0, content.1, host)))
        return Reading(fingerprint: fingerprint, key: keyText.flatMap { Self.key($0, maximumKeyLength) })
    }

    private static func key(
        _ text: String?,
        _ maximumLength: Int
    ) -> Result<IdempotencyKey?, IdempotencyKey.ValidationError> {
        guard let text else { return .success(nil) }
        return Result { () throws(IdempotencyKey.ValidationError) in
            try IdempotencyKey(text, maximumLength: maximumLength)
        }
    }

    // MARK: The body

    private struct Body {
        /// `nil` if the body is compared byte for byte.
        var canonical: ArraySlice<UInt8>?
        var keyText: Result<String?, IdempotencyKey.ValidationError> = .success(nil)
    }

    private func read() -> Body {
        var body = Body()
        switch self.keySource?.origin {
        case .json(let pointer):
            let places = self.recipe.ignoredPlaces.markingKey(at: pointer)
            let reading = CanonicalJSON.read(self.collected, places: places)
            if self.expectedForm == .json { body.canonical = reading?.text }
            body.keyText = Self.keyText(in: reading)
            return body
        case .form(let name):
            body.keyText = Result { () throws(IdempotencyKey.ValidationError) in try self.formField(name) }
        case .custom(let find):
            body.keyText = Result { try find(self.head, self.collected) }
                .mapError { $0 as? IdempotencyKey.ValidationError ?? .malformed }
        case .idempotencyKey, .headers, .query, .none: break
        }
        body.canonical = self.canonicalBody()
        return body
    }

    private func canonicalBody() -> ArraySlice<UInt8>? {
        switch self.expectedForm {
        case .bytes: nil
        case .json: CanonicalJSON.read(self.collected, places: self.recipe.ignoredPlaces)?.text
        case .form: CanonicalForm.canonicalize(self.collected)?[...]
        case .multipart: CanonicalMultipart.canonicalize(self.collected, boundary: self.mediaType?["boundary"])?[...]
        }
    }

    private static func keyText(
        in reading: CanonicalJSON.Reading?
    ) -> Result<String?, IdempotencyKey.ValidationError> {
        guard let reading else { return .failure(.malformed) }
        guard let value = reading.key else { return .success(nil) }
        guard let text = value.string ?? value.integer else { return .failure(.malformed) }
        return .success(text)
    }

    private func formField(_ name: String) throws(IdempotencyKey.ValidationError) -> String? {
        guard self.mediaType?.isMultipart ?? false else {
            return try FormFields.onlyValue(of: name, in: self.collected[...])
        }
        return try MultipartForm.onlyValue(of: name, in: self.collected, boundary: self.mediaType?["boundary"])
    }

    private static func form(of mediaType: MediaType?) -> BodyForm {
        guard let mediaType else { return .bytes }
        if mediaType.isJSON { return .json }
        if mediaType.isURLEncodedForm { return .form }
        return mediaType.isMultipart ? .multipart : .bytes
    }

    // MARK: The host

    private var hostWord: UInt64 {
        let authority = self.head.authority ?? Self.hostField.flatMap { self.head.headerFields[$0] } ?? ""
        // By their bytes, as they are hashed: texts are equal if they only look the same.
        if let last = Self.lastHost.withLock({ $0 }), last.authority.utf8.elementsEqual(authority.utf8) {
            return last.word
        }
        let word = Digest32(hashing: Self.host(of: authority)).words.0
        Self.lastHost.withLock { $0 = (authority, word) }
        return word
    }

    /// Nearly all requests to a server name the same host.
    private static let lastHost = Mutex<(authority: String, word: UInt64)?>(nil)

    private static let hostField = HTTPField.Name("Host")

    /// The host of an authority in lower case, without a port: the part after the last colon, unless that is in an IPv6
    /// address.
    private static func host(of authority: String) -> [UInt8] {
        var host: [UInt8] = []
        host.reserveCapacity(authority.utf8.count)
        for byte in authority.utf8 { host.append(byte.lowercased) }
        if let colon = host.lastIndex(of: UInt8(ascii: ":")), !host[colon...].contains(UInt8(ascii: "]")) {
            host.removeSubrange(colon...)
        }
        return host
    }
}

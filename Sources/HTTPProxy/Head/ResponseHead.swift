import NIOCore

/// The head of a response as the upstream sent it: its bytes, and where its fields stand in them.
///
/// A response that passes is never taken apart further than this: what does not change is copied, byte for byte.
package struct ResponseHead: Sendable {
    /// Where a field line stands.
    struct Field {
        let start: Int
        let nameEnd: Int
        let valueStart: Int
        let valueEnd: Int
        /// Behind its line break.
        let end: Int
        let kind: FieldKind
    }

    /// From the status line to the empty line.
    let bytes: ByteBuffer
    package let status: Int
    /// The code and the reason phrase, without a line break.
    let statusText: Range<Int>
    let fields: [Field]
    /// How the end of the body is found, were this the response to GET.
    let framing: BodyFraming
    /// The names that `Connection` declares to be of this connection only, in lower case; nearly always none.
    let connectionOptions: [String]
    /// Whether the connection can be used after this response.
    let isPersistent: Bool

    /// Whether this is no final response.
    var isInterim: Bool { (100..<200).contains(self.status) && self.status != 101 }

    /// How the end of the body is found (RFC 9112, section 6.3).
    func bodyFraming(isResponseToHead: Bool) -> BodyFraming {
        isResponseToHead || self.status < 200 || self.status == 204 || self.status == 304 ? .none : self.framing
    }

    func bytes(_ range: Range<Int>) -> ByteBufferView {
        ByteBufferView(self.bytes)[range]
    }

    func name(of field: Field) -> ByteBufferView { self.bytes(field.start..<field.nameEnd) }

    func value(of field: Field) -> ByteBufferView { self.bytes(field.valueStart..<field.valueEnd) }

    /// The values of all fields of a kind.
    func values(of kind: FieldKind) -> [String] {
        self.fields.filter { $0.kind == kind }.map { String(decoding: self.value(of: $0), as: UTF8.self) }
    }
}

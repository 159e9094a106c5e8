import HTTPTypes
import Idemptx

extension Outcome {
    static let sample = Outcome.response(.sample)
}

extension StoredResponse {
    /// A response with everything that is easily lost: repeated fields in an order that matters, spelling, bytes that are
    /// no text, and an unusual status.
    static let sample: StoredResponse = {
        var fields: HTTPFields = [.contentType: "application/octet-stream"]
        if let link = HTTPField.Name("LINK"), let note = HTTPField.Name("x-note") {
            fields.append(HTTPField(name: link, value: "</charges/1>; rel=\"self\""))
            fields.append(HTTPField(name: note, lenientValue: [0xE9, 0x20, 0xFF]))
            fields.append(HTTPField(name: link, value: "</charges>; rel=\"collection\""))
        }
        fields.append(HTTPField(name: .location, value: "/charges/1"))
        return StoredResponse(
            status: .init(code: 299, reasonPhrase: "Rather Unusual"), headerFields: fields,
            body: (0...255).map { UInt8($0) } + Array("\r\n--\u{0}".utf8))
    }()

    /// Whether a client could not tell the two apart.
    ///
    /// `==` of header fields disregards some of their order.
    func isIdentical(to other: StoredResponse) -> Bool {
        self.status.code == other.status.code && self.status.reasonPhrase == other.status.reasonPhrase
            && self.body == other.body
            && self.headerFields.elementsEqual(other.headerFields) {
                $0 == $1 && $0.name.rawName == $1.name.rawName
            }
    }
}

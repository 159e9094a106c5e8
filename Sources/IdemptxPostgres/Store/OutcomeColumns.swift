import HTTPTypes
import Idemptx

/// How an operation ended, as the columns of a record keep it.
///
/// The head is that of an HTTP/1 message, a line for the status and one for each field, so that a person can read it:
/// `SELECT convert_from(head, 'UTF8')`. Of a tombstone it has no field but `Location`, and there is no body.
struct OutcomeColumns {
    let status: Int64
    let head: [UInt8]
    /// `nil` for a tombstone.
    let body: [UInt8]?

    private static let lineFeed = UInt8(ascii: "\n")
    private static let separator = Array(": ".utf8)

    init(status: Int64, head: [UInt8], body: [UInt8]?) {
        self.status = status
        self.head = head
        self.body = body
    }

    init(_ outcome: Outcome) {
        switch outcome {
        case .response(let response):
            self.init(
                status: Int64(response.status.code),
                head: Self.head("\(response.status.code) \(response.status.reasonPhrase)", response.headerFields),
                body: response.body)
        case .tombstone(let tombstone):
            var fields = HTTPFields()
            if let location = tombstone.location { fields[.location] = location }
            self.init(
                status: Int64(tombstone.status), head: Self.head("\(tombstone.status) ", fields), body: nil)
        }
    }

    private static func head(_ statusLine: String, _ fields: HTTPFields) -> [UInt8] {
        var head = Array(statusLine.utf8)
        head.append(self.lineFeed)
        for field in fields {
            head.append(contentsOf: field.name.rawName.utf8)
            head.append(contentsOf: self.separator)
            // Safe: the bytes are copied before the call returns. `HTTPField.value` would repair those that are not UTF-8.
            unsafe field.withUnsafeBytesOfValue { unsafe head.append(contentsOf: $0) }
            head.append(self.lineFeed)
        }
        return head
    }

    /// The outcome that was stored.
    ///
    /// - Throws: `StoreError` with code `corruptRecord` if the columns are not of a form that this version writes.
    func outcome() throws(StoreError) -> Outcome {
        // As bytes: a reason may begin with a combining mark, which would make the space before it another character.
        let status = Array("\(self.status) ".utf8)
        var lines = self.head.split(separator: Self.lineFeed, omittingEmptySubsequences: false)
        guard (0...999).contains(self.status), lines.popLast()?.isEmpty == true, let statusLine = lines.first,
            statusLine.starts(with: status),
            let reason = String(validating: statusLine.dropFirst(status.count), as: UTF8.self)
        else { throw Self.damaged }
        var fields = HTTPFields()
        for line in lines.dropFirst() { fields.append(try Self.field(line)) }
        guard let body else {
            return .tombstone(Tombstone(status: Int(self.status), location: fields[.location]))
        }
        return .response(
            StoredResponse(
                status: HTTPResponse.Status(code: Int(self.status), reasonPhrase: reason),
                headerFields: fields, body: body))
    }

    private static func field(_ line: ArraySlice<UInt8>) throws(StoreError) -> HTTPField {
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")), line[colon...].starts(with: self.separator),
            let text = String(validating: line[..<colon], as: UTF8.self), let name = HTTPField.Name(text)
        else { throw self.damaged }
        return HTTPField(name: name, lenientValue: line[(colon + self.separator.count)...])
    }

    private static var damaged: StoreError {
        StoreError(.corruptRecord, "A record cannot be read: its response is damaged.")
    }
}

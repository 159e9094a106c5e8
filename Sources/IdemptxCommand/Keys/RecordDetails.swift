import Foundation
import HTTPTypes
import Idemptx

/// All that is told of one record.
struct RecordDetails: Encodable {
    /// A header field; an array of them keeps order and repeats.
    private struct Field: Encodable {
        let name: String
        let value: String
    }

    let row: RecordRow
    private var status: Int?
    private var location: String?
    private var bodySize: Int?
    private var headers: [Field]?
    private var body: Data?

    init(_ record: RecordSummary, withResponse: Bool) {
        self.row = RecordRow(record)
        switch record.outcome {
        case nil: break
        case .tombstone(let tombstone):
            self.status = tombstone.status
            self.location = tombstone.location
        case .response(let response):
            self.status = response.status.code
            self.location = response.headerFields[.location]
            self.bodySize = response.body.count
            guard withResponse else { return }
            self.headers = response.headerFields.map { Field(name: $0.name.rawName, value: $0.value) }
            self.body = Data(response.body)
        }
    }

    /// For people: a line for each thing that there is to tell.
    var rows: [[String]] {
        let lines = [
            ("record", self.row.record), ("state", self.row.state.rawValue),
            ("attempt", self.row.attempt.map { "\($0)" }),
            ("age", RecordRow.text(self.row.ageMs)), ("lease left", self.row.leaseLeftMs.map(RecordRow.text)),
            ("TTL left", RecordRow.text(self.row.ttlLeftMs)), ("status", self.status.map { "\($0)" }),
            ("location", self.location), ("body", self.bodySize.map { "\($0) bytes" }),
        ]
        return lines.compactMap { name, value in value.map { [name, $0] } }
    }

    private enum CodingKeys: String, CodingKey {
        case status, location, bodySize, headers
        case body = "bodyBase64"
    }

    func encode(to encoder: any Encoder) throws {
        try self.row.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encodeIfPresent(self.status, forKey: .status)
        try container.encodeIfPresent(self.location, forKey: .location)
        try container.encodeIfPresent(self.bodySize, forKey: .bodySize)
        try container.encodeIfPresent(self.headers, forKey: .headers)
        try container.encodeIfPresent(self.body, forKey: .body)
    }
}

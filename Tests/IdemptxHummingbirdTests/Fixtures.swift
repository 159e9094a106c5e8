import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Idemptx
import IdemptxHummingbird
import IdemptxTesting
import Testing

struct Charge: ResponseCodable, Equatable {
    let id: Int
    let amount: Int
}

struct Order: Codable {
    let amount: Int
}

extension ByteBuffer {
    static func order(_ amount: Int) -> ByteBuffer { ByteBuffer(string: #"{"amount":\#(amount)}"#) }
}

extension TestResponse {
    var text: String { String(buffer: self.body) }

    var problem: [String: Any] {
        get throws {
            try #require(try JSONSerialization.jsonObject(with: Data(self.body.readableBytesView)) as? [String: Any])
        }
    }

    /// What a replay has to repeat: everything but what belongs to the exchange.
    var repeatable: [String] {
        let exchange: Set<HTTPField.Name> = [
            .date, .server, .contentLength, .idempotencyStatus, .idempotentReplayed, .connection, .transferEncoding,
        ]
        return ["\(self.status.code)"]
            + self.headers.filter { !exchange.contains($0.name) }.map { "\($0.name.rawName): \($0.value)" }
            + [Data(self.body.readableBytesView).base64EncodedString()]
    }
}

let everySetup: [TestingSetup] = [.router, .live, .ahc()]

import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Idemptx
import IdemptxHummingbird
import IdemptxTesting
import Testing

let everySetup: [TestingSetup] = [.router, .live, .ahc()]

struct Charge: ResponseCodable, Equatable {
    let id: Int
    let amount: Int
}

struct Order: Codable {
    let amount: Int
}

struct CardDeclined: Error {}

extension ByteBuffer {
    static func order(_ amount: Int) -> ByteBuffer { ByteBuffer(string: #"{"amount":\#(amount)}"#) }
}

extension HTTPField.Name {
    static func named(_ name: String) throws -> HTTPField.Name { try #require(HTTPField.Name(name)) }
}

/// Members of problem details (RFC 9457).
struct ProblemMembers: Decodable {
    let type: String
    let status: Int
    let originalStatus: Int?
    let location: String?
}

extension TestResponse {
    var text: String { String(buffer: self.body) }

    /// The end of the problem's type; checks what every response of the layer has in common.
    var problem: ProblemMembers {
        get throws {
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            let problem = try decoder.decode(ProblemMembers.self, from: Data(self.body.readableBytesView))
            #expect(problem.status == self.status.code)
            #expect(self.headers[.contentType] == "application/problem+json")
            #expect(self.headers[.cacheControl] == "no-store")
            return problem
        }
    }

    var problemKind: IdempotencyProblem.Kind? {
        get throws {
            let type = try self.problem.type
            return IdempotencyProblem.Kind.allCases.first { type == IdempotencyProblem.defaultTypeBase + $0.rawValue }
        }
    }

    /// What a replay has to repeat, byte by byte: everything but what belongs to the exchange.
    var repeatable: [String] {
        let exchange: Set<HTTPField.Name> = [
            .date, .server, .contentLength, .idempotencyStatus, .idempotentReplayed, .connection, .transferEncoding,
        ]
        return ["\(self.status.code)"]
            + self.headers.filter { !exchange.contains($0.name) }.map { "\($0.name.rawName): \($0.value)" }
            + [Data(self.body.readableBytesView).base64EncodedString()]
    }
}

import Foundation
import HTTPTypes
import Idemptx

/// What a response says of the execution that it comes from.
struct Receipt: Codable, Hashable, Sendable {
    let execution: Int
    let subject: Int
    let variant: Int

    init(execution: Int, subject: Int, variant: Int) {
        self.execution = execution
        self.subject = subject
        self.variant = variant
    }

    /// Reads it from the body of a response.
    init?(body: [UInt8]) {
        guard let receipt = try? JSONDecoder().decode(Receipt.self, from: Data(body)) else { return nil }
        self = receipt
    }

    /// Reads it from what a store keeps.
    init?(of outcome: Outcome) {
        guard case .response(let response) = outcome else { return nil }
        self.init(body: response.body)
    }

    /// The body of a response, of at least `size` bytes.
    func body(size: Int = 0) -> [UInt8] {
        let text = #"{"execution":\#(self.execution),"subject":\#(self.subject),"variant":\#(self.variant)}"#
        return Array(text.utf8) + Array(repeating: UInt8(ascii: " "), count: max(0, size - text.utf8.count))
    }
}

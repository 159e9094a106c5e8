import HTTPTypes
import Idemptx
import Testing

@testable import IdemptxPostgres

@Suite("The columns of an outcome")
struct OutcomeColumnsTests {
    /// To Swift, a space that a combining mark follows is another character.
    @Test("give it back, whatever its reason phrase is", arguments: ["", "OK", "Not Found", "\u{301}OK", "a: b"])
    func reason(phrase: String) throws {
        let status = HTTPResponse.Status(code: 200, reasonPhrase: phrase)
        let response = StoredResponse(status: status, headerFields: [.location: "/a"], body: [1, 2])
        guard case .response(let read) = try OutcomeColumns(.response(response)).outcome() else {
            Issue.record("It is a tombstone")
            return
        }
        #expect(read == response)
        #expect(read.status.reasonPhrase.utf8.elementsEqual(status.reasonPhrase.utf8))
    }

    @Test("of a tombstone give it back", arguments: [200, -1, 36_962])
    func tombstone(status: Int) throws {
        let tombstone = Outcome.tombstone(Tombstone(status: status, location: "/a"))
        #expect(try OutcomeColumns(tombstone).outcome() == tombstone)
    }
}

import Foundation
import HTTPTestSupport
import Testing

/// Members of problem details (RFC 9457).
private struct ProblemMembers: Decodable {
    let type: String
    let title: String
    let status: Int
}

extension WireMessage {
    /// The end of the problem's type; checks what every response of the layer has in common.
    var problem: String {
        get throws {
            let problem = try JSONDecoder().decode(ProblemMembers.self, from: Data(self.body))
            #expect(problem.status == self.status)
            #expect(!problem.title.isEmpty)
            #expect(self["Content-Type"] == ["application/problem+json"])
            #expect(self["Cache-Control"] == ["no-store"])
            #expect(self["Date"].count == 1)
            let base = "urn:idemptx:problem:"
            #expect(problem.type.hasPrefix(base))
            return String(problem.type.dropFirst(base.count))
        }
    }
}

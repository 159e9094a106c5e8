import Testing

@testable import FuzzTargets
@testable import Idemptx

/// The checks can fail: each finds readers with one mistake.
@Suite("The checks of what is fuzzed")
struct CheckTests {
    /// A text, and a reader of JSON that goes wrong with it.
    struct JSONMistake: CustomTestStringConvertible {
        let testDescription: String
        let text: String
        let canonicalize: @Sendable ([UInt8]) -> [UInt8]?
    }

    private static let mistakes = [
        JSONMistake(testDescription: "leaves everything as it is", text: #"{"b": 1, "a": 2}"#) { $0 },
        JSONMistake(testDescription: "rounds numbers", text: "1.10") { text in
            CanonicalJSON.canonicalize(text).map { $0 == Array("1.10".utf8) ? Array("1.1".utf8) : $0 }
        },
        JSONMistake(testDescription: "loses a member", text: #"{"a":1,"b":2}"#) { text in
            CanonicalJSON.canonicalize(text) == nil ? nil : Array(#"{"a":1}"#.utf8)
        },
        JSONMistake(testDescription: "takes what is no JSON", text: "[1,]") { CanonicalJSON.canonicalize($0) ?? [] },
        JSONMistake(testDescription: "takes a name twice", text: #"{"a":1,"a":2}"#) {
            CanonicalJSON.canonicalize($0) ?? Array("{}".utf8)
        },
        JSONMistake(testDescription: "refuses what is JSON", text: "[]") { _ in nil },
        JSONMistake(testDescription: "does not undo escapes", text: #"["A"]"#) { text in
            text.contains(UInt8(ascii: "\\")) ? text : CanonicalJSON.canonicalize(text)
        },
    ]

    @Test("finds a reader of JSON that", arguments: mistakes)
    func json(mistake: JSONMistake) throws {
        let text = Array(mistake.text.utf8)
        #expect(throws: Violation.self) { try JSONFormCheck(canonicalize: mistake.canonicalize).check(text) }
    }

    @Test("finds a reader of forms that loses fields, or does not decode")
    func form() throws {
        let losing = FormCheck { text in CanonicalForm.canonicalize(text).map { text.first == 0x62 ? [] : $0 } }
        #expect(throws: Violation.self) { try losing.check(Array("b=1&a=2".utf8)) }
        let literal = FormCheck { text in text.contains(UInt8(ascii: "%")) ? text : CanonicalForm.canonicalize(text) }
        #expect(throws: Violation.self) { try literal.check(Array("a=%41".utf8)) }
        #expect(throws: Violation.self) { try FormCheck { _ in [] }.check(Array("a=%4".utf8)) }
    }

    @Test("gets as far as the settings of a file")
    func settings() throws {
        let file = #"{"upstream": "http://127.0.0.1:9000", "routes": [{"path": "/a"}]}"#
        #expect(throws: Never.self) { _ = try SettingsFileCheck.settings(Array(file.utf8)) }
    }

    @Test("takes a head apart without the code that is fuzzed")
    func lines() throws {
        #expect(HeadLines(Array("GET / HTTP/1.1\r\nA: b\r\n\r\n".utf8))?.lines.count == 2)
        for broken in ["A\nB\r\n\r\n", "A\r\n B: c\r\n\r\n", "A\rB\r\n\r\n", "A\r\n\r\nB\r\n\r\n", "A\r\nB\r\n", ""] {
            #expect(HeadLines(Array(broken.utf8)) == nil)
        }
    }

    @Test("cuts an input as its first byte says")
    func pieces() {
        #expect([2, 10, 11, 12, 13].pieces == [[10, 11, 12], [13]])
        #expect([UInt8]().pieces.isEmpty)
    }
}

import HTTPTypes
import Testing

@testable import FuzzTargets
@testable import Idemptx
@testable import IdemptxCommand
@testable import IdemptxPostgres

/// The checks can fail: they find readers with one mistake.
@Suite("The checks of values that are fuzzed")
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

    @Test("finds a reader of the key's header that takes the first of two lines, or does not undo escapes")
    func keyHeader() {
        let first = KeyHeaderCheck { try KeyHeader.key(in: HTTPFields($0.prefix(1))) }
        #expect(throws: Violation.self) { try first.check(Array("a\nb".utf8)) }
        let literal = KeyHeaderCheck { fields in
            try IdempotencyKey(fields.first.map { String($0.value.dropFirst().dropLast()) } ?? "")
        }
        #expect(throws: Violation.self) { try literal.check(Array(#""a\\b""#.utf8)) }
    }

    @Test(
        "finds a reader of media types that knows no quotes, one that drops some, and types compared without parameters"
    )
    func mediaType() {
        let input = Array("text\nplain\na\nb\"c".utf8)
        #expect(throws: Never.self) { try MediaTypeCheck().check(input) }
        let unquoting = MediaTypeCheck { $0.contains("\"") ? nil : MediaType($0) }
        #expect(throws: Violation.self) { try unquoting.check(input) }
        let early = MediaTypeCheck { MediaType($0.replacing("\\\"", with: "")) }
        #expect(throws: Violation.self) { try early.check(input) }
        let bare = MediaTypeCheck(comparable: { $0.essence })
        #expect(throws: Violation.self) { try bare.check(Array("text/plain; a=b".utf8)) }
    }

    @Test("finds a form of multipart bodies that is the body itself, or lacks its last byte")
    func multipart() {
        let input = Array("A:b\u{2}body\u{1}A:c\u{2}d".utf8)
        #expect(throws: Never.self) { try MultipartCheck().check(input) }
        #expect(throws: Violation.self) { try MultipartCheck { body, _ in body }.check(input) }
        let losing = MultipartCheck { body, boundary in
            CanonicalMultipart.canonicalize(body, boundary: boundary).map { $0.dropLast() }
        }
        #expect(throws: Violation.self) { try losing.check(input) }
    }

    @Test("finds a codec that sees no damage, and columns that lose the body")
    func record() throws {
        // A completed record: its kind, no damage but to byte 40, digest, owner, recipe, attempt, moments, status, body.
        let input = [3, 0, 0, 0] + Array(repeating: UInt8(7), count: 32 + 16) + Array(repeating: 1, count: 40)
        #expect(throws: Never.self) { try RecordCheck().check(input) }
        let record = IdempotencyRecord(
            fingerprint: Fingerprint(ofBytes: []), owner: OwnerToken(), attempt: 1, created: Timestamp(milliseconds: 1),
            expires: Timestamp(milliseconds: 2), unknownSince: nil, state: .free)
        let blind = RecordCheck { bytes in (try? RecordCodec.decode(bytes)) ?? record }
        #expect(throws: Violation.self) { try blind.check(input) }
        var losing = RecordCheck()
        losing.outcome = { try OutcomeColumns(status: $0.status, head: $0.head, body: []).outcome() }
        #expect(throws: Violation.self) { try losing.check(input) }
    }

    @Test("finds a password that is shown")
    func storeURL() {
        let input = [0] + Array("u\n\nh".utf8)
        #expect(throws: Never.self) { try StoreURLCheck().check(input) }
        #expect(throws: Violation.self) { try StoreURLCheck { $0 }.check(input) }
    }

    @Test("finds a reader of files that forgets what stands in a long one")
    func forgottenSettings() {
        let file = Array(#"{"upstream": "http://127.0.0.1:9000", "port": 1}"#.utf8)
        #expect(throws: Never.self) { try SettingsFileCheck().check(file) }
        let forgetting = SettingsFileCheck { text in
            try SettingsFileCheck.settings(text.count > 100 ? Array(#"{"upstream": "http://a"}"#.utf8) : text)
        }
        #expect(throws: Violation.self) { try forgetting.check(file) }
    }

    @Test("gets as far as the settings of a file")
    func settings() throws {
        let file = #"{"upstream": "http://127.0.0.1:9000", "routes": [{"path": "/a"}]}"#
        #expect(throws: Never.self) { _ = try SettingsFileCheck.settings(Array(file.utf8)) }
    }

    @Test("cuts an input as its first byte says")
    func pieces() {
        #expect([2, 10, 11, 12, 13].pieces == [[10, 11, 12], [13]])
        #expect([UInt8]().pieces.isEmpty)
    }
}

import HTTPTypes
import Idemptx
import IdemptxTesting
import Testing

@Suite("The Idempotency-Key header")
struct KeyHeaderTests {
    /// The fields as a server passes them on: with every byte that the wire may carry.
    private func fields(_ value: some Collection<UInt8>) -> HTTPFields {
        var fields = HTTPFields()
        fields.append(HTTPField(name: .idempotencyKey, lenientValue: value))
        return fields
    }

    /// SEMANTICS of the structured field string (RFC 9651, section 4.2.5), and of bare values.
    static let accepted: [(line: String, key: String)] = [
        (#""8e03978e-40d5-43e8-bc93-6894a57f9324""#, "8e03978e-40d5-43e8-bc93-6894a57f9324"),
        (#"  "abc"  "#, "abc"),
        ("\t\"abc\" \t", "abc"),
        (#""abc";v=1"#, "abc"),
        (#""abc"; v=1"#, "abc"),
        (#""abc";flag"#, "abc"),
        (#""a b""#, "a b"),
        (#""a\"b""#, #"a"b"#),
        (#""a\\b""#, #"a\b"#),
        (#"" padded ""#, " padded "),
        ("8e03978e-40d5-43e8-bc93-6894a57f9324", "8e03978e-40d5-43e8-bc93-6894a57f9324"),
        ("clkyoesmj0000356w1x2y3z4a", "clkyoesmj0000356w1x2y3z4a"),
        ("12345", "12345"),
        ("  abc  ", "abc"),
        (":YWJj:", ":YWJj:"),
        ("A_z.0:~+/=-", "A_z.0:~+/=-"),
        (String(repeating: "k", count: 255), String(repeating: "k", count: 255)),
        ("\"" + String(repeating: "k", count: 255) + "\"", String(repeating: "k", count: 255)),
    ]

    @Test("A valid value is decoded", arguments: accepted)
    func accepts(line: String, key: String) throws {
        #expect(try KeyHeader.key(in: self.fields(line.utf8))?.rawValue == key)
    }

    static let rejected: [(line: String, error: IdempotencyKey.ValidationError)] = [
        ("", .empty),
        ("   ", .empty),
        (#""""#, .empty),
        (#""abc"#, .malformed),
        (#""a\nb""#, .malformed),
        (#""abc\"#, .malformed),
        ("\"a\tb\"", .malformed),
        ("\"a\u{7F}b\"", .malformed),
        ("\"é\"", .malformed),
        (#""a", "b""#, .malformed),
        (#""a" "b""#, .malformed),
        (#""abc" ;v=1"#, .malformed),
        (#""abc";V=1"#, .malformed),
        (#"abc""#, .invalidCharacter),
        ("'abc'", .invalidCharacter),
        (#"("abc")"#, .invalidCharacter),
        (#"%"abc""#, .invalidCharacter),
        ("?1", .invalidCharacter),
        ("@1659578233", .invalidCharacter),
        ("a b", .invalidCharacter),
        ("a,b", .invalidCharacter),
        ("a;v=1", .invalidCharacter),
        ("é", .invalidCharacter),
        ("a*b", .invalidCharacter),
        (String(repeating: "k", count: 256), .tooLong),
        // A parser has to take 1,024 characters; the limit for keys is ours.
        ("\"" + String(repeating: "k", count: 1024) + "\"", .tooLong),
    ]

    @Test("An invalid value is refused with its reason", arguments: rejected)
    func rejects(line: String, error: IdempotencyKey.ValidationError) {
        #expect(throws: error) { try KeyHeader.key(in: self.fields(line.utf8)) }
    }

    @Test("A request without the header has no key")
    func absent() throws {
        #expect(try KeyHeader.key(in: [.contentType: "text/plain"]) == nil)
    }

    @Test("Two lines are refused, even if they are equal", arguments: ["abc", "abd"])
    func repeated(second: String) {
        var fields = HTTPFields()
        fields.append(HTTPField(name: .idempotencyKey, value: "abc"))
        fields.append(HTTPField(name: .idempotencyKey, value: second))
        #expect(throws: IdempotencyKey.ValidationError.repeated) { try KeyHeader.key(in: fields) }
    }

    @Test("Bytes that are not UTF-8 are refused")
    func bytes() throws {
        for value in [[0x22, 0xFF, 0x22], [0xFF]] as [[UInt8]] {
            #expect(throws: IdempotencyKey.ValidationError.self) { try KeyHeader.key(in: self.fields(value)) }
        }
    }

    @Test("Quoted and bare forms are one key; case counts")
    func forms() throws {
        let bare = try KeyHeader.key(in: [.idempotencyKey: "abc"])
        #expect(try KeyHeader.key(in: [.idempotencyKey: "\"abc\""]) == bare)
        #expect(try KeyHeader.key(in: [.idempotencyKey: "ABC"]) != bare)
    }

    @Test("A value far longer than a key is refused unread")
    func hugeParameters() {
        let parameters = (0..<10_000).map { "p\($0)" }.joined(separator: ";")
        let error = #expect(throws: IdempotencyKey.ValidationError.self) {
            try KeyHeader.key(in: [.idempotencyKey: "\"k\";\(parameters)"])
        }
        #expect(error == .tooLong)
    }

    @Test(
        "What a client sends where it has no value is a placeholder, quoted or bare",
        arguments: KeySourceTests.placeholders)
    func placeholders(text: String) {
        for line in [text, "\"\(text)\"", " \(text) ", "\"\(text)\";v=1"] {
            #expect(throws: IdempotencyKey.ValidationError.placeholder) {
                try KeyHeader.key(in: [.idempotencyKey: line])
            }
        }
    }

    @Test("The largest limit of all does not overflow")
    func largestLimit() throws {
        for line in ["abc", "\"abc\"", "\"abc\";v=1"] {
            #expect(try KeyHeader.key(in: [.idempotencyKey: line], maximumLength: .max)?.rawValue == "abc")
        }
    }

    @Test("A UUID is one key in either case, quoted or bare")
    func uuid() throws {
        let text = "8e03978e-40d5-43e8-bc93-6894a57f9324"
        let key = try KeyHeader.key(in: [.idempotencyKey: text])
        #expect(try KeyHeader.key(in: [.idempotencyKey: text.uppercased()]) == key)
        #expect(try KeyHeader.key(in: [.idempotencyKey: "\"\(text.uppercased())\""]) == key)
    }

    @Test("No random value traps, and what is accepted is printable", arguments: 0..<20)
    func fuzz(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let alphabet = Array("\"\\;=abc \t\u{7F}é'()%:@?\0".utf8)
        for _ in 0..<2_000 {
            let value = (0..<Int.random(in: 0...12, using: &generator)).compactMap { _ in
                alphabet.randomElement(using: &generator)
            }
            guard let key = try? KeyHeader.key(in: self.fields(value)) else { continue }
            #expect(key.rawValue.utf8.allSatisfy { (0x20...0x7E).contains($0) }, "\(value)")
            #expect(!key.rawValue.isEmpty)
        }
    }
}

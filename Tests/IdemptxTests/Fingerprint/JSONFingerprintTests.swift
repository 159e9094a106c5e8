import HTTPTypes
import Idemptx
import IdemptxTesting
import Testing

@Suite("Fingerprints of JSON")
struct JSONFingerprintTests {
    static let equalJSON: [(String, String)] = [
        (#"{"a":1,"b":2}"#, #"{"b":2,"a":1}"#),
        (#"{"a":1,"b":2}"#, "{ \"a\" : 1 ,\r\n\t\"b\" : 2 }"),
        (#"{"a":{"y":1,"x":[{"q":1,"p":2}]}}"#, #"{"a":{"x":[{"p":2,"q":1}],"y":1}}"#),
        (#""é""#, #""\u00e9""#),
        (#""é""#, #""\u00E9""#),
        (#""😀""#, #""\ud83d\ude00""#),
        (#""a/b""#, #""a\/b""#),
        (#""\n""#, #""\u000a""#),
        (#""\b\f\r\t""#, #""\u0008\u000C\u000d\u0009""#),
        (#""\"\\""#, #""\u0022\u005c""#),
        (#"{"é":1}"#, #"{"\u00e9":1}"#),
        (#"{"":1,"a":2}"#, #"{"a":2,"":1}"#),
        (" [] ", "[]"),
        ("{}", "{ }"),
        ("[1,2]", "[ 1 , 2 ]"),
        (" true", "true "),
        (#"{"10":1,"9":2}"#, #"{"9":2,"10":1}"#),
        (#"{"a":1,"a b":2,"a\"":3}"#, #"{"a\"":3,"a b":2,"a":1}"#),
    ]

    @Test("JSON of the same structure agrees", arguments: equalJSON)
    func equal(lhs: String, rhs: String) {
        #expect(fingerprint(lhs) == fingerprint(rhs))
    }

    static let differentJSON: [(String, String)] = [
        (#"{"a":1}"#, #"{"a":2}"#),
        (#"{"a":1}"#, #"{"a":"1"}"#),
        ("1", "1.0"),
        ("1", "1e0"),
        ("10", "1e1"),
        ("1E2", "1e2"),
        ("-0", "0"),
        ("[1,2]", "[2,1]"),
        ("[[1],2]", "[[1,2]]"),
        ("9007199254740993", "9007199254740992"),
        (#"{"a":null}"#, "{}"),
        (#""é""#, #""e\u0301""#),
        (#"{"a":{"b":1},"c":2}"#, #"{"a":{"b":1,"c":2}}"#),
        (#""a""#, #"["a"]"#),
        ("true", #""true""#),
    ]

    @Test("JSON that says something else disagrees", arguments: differentJSON)
    func different(lhs: String, rhs: String) {
        #expect(fingerprint(lhs).disagrees(with: fingerprint(rhs)))
    }

    /// Each text and a variant that white space makes: equal as JSON, different byte for byte.
    static let notCanonical = [
        #"{"a":1,"a":2}"#,
        #"{"a":1,"\u0061":1}"#,
        #"{"b":{"a":1,"a":1}}"#,
        #"{"c":1,"a":1,"b":2,"a":3}"#,
        #"{"a":1"#,
        #"{"a":01}"#,
        "[1,]",
        "[,1]",
        #"{"a":1,}"#,
        #"{a:1}"#,
        "{1:2}",
        "[1 2]",
        "+1",
        "1.",
        ".5",
        "1e",
        "-",
        "tru",
        "nul",
        "True",
        #""abc"#,
        #""\x""#,
        #""\u12""#,
        #""\u12g4""#,
        #""\ud800""#,
        #""\ud800\u0041""#,
        #""\udc00\ud800""#,
        "\"a\u{1}b\"",
        "[1] 2",
        "NaN",
        "",
        String(repeating: "[", count: 200) + String(repeating: "]", count: 200),
        String(repeating: "[", count: 100_000),
        String(repeating: #"{"a":"#, count: 100_000),
    ]

    @Test("A body that is not JSON, or ambiguous, or too deep, is compared byte for byte", arguments: notCanonical)
    func bytes(text: String) {
        #expect(fingerprint(text) == fingerprint(text))
        #expect(fingerprint(text).disagrees(with: fingerprint(" " + text)))
    }

    @Test("128 levels of nesting are compared by structure")
    func depth() {
        let text = String(repeating: "[", count: 128) + String(repeating: "]", count: 128)
        #expect(fingerprint(text) == fingerprint(" " + text))
    }

    @Test("Bytes that are not UTF-8 are compared byte for byte")
    func invalidUTF8() {
        func fingerprint(_ bytes: [UInt8]) -> Fingerprint {
            let head = HTTPRequest(
                method: .post, scheme: nil, authority: nil, path: "/",
                headerFields: [.contentType: "application/json"])
            var builder = FingerprintBuilder(head: head)
            builder.update(bytes)
            return builder.finalize()
        }
        #expect(fingerprint(Array("\"".utf8) + [0xFF, 0x22]).disagrees(with: fingerprint([0x22, 0xFE, 0x22])))
        #expect(fingerprint([0x22, 0xFF, 0x22]).disagrees(with: fingerprint([0x20, 0x22, 0xFF, 0x22])))
    }

    @Test(
        "JSON is recognised by its media type, whose parameters say nothing",
        arguments: [
            "application/json; charset=utf-8", "Application/JSON", "application/json;charset=UTF-8 ; x=\"y\"",
        ])
    func mediaType(type: String) {
        #expect(fingerprint(#"{"a":1}"#, type: type) == fingerprint(#"{ "a": 1 }"#))
    }

    @Test("Types that end in +json are JSON, and types of their own")
    func structuredSuffix() {
        let type = "application/vnd.api+json"
        #expect(fingerprint("[1]", type: type) == fingerprint("[ 1 ]", type: type))
        #expect(fingerprint("[1]", type: type).disagrees(with: fingerprint("[1]")))
    }

    @Test("A quote in a parameter is no end of it")
    func quotedParameter() {
        let one = fingerprint(type: #"text/plain; a="x\";b=\"y""#)
        #expect(one.disagrees(with: fingerprint(type: #"text/plain; a="x"; b="y""#)))
        #expect(one == fingerprint(type: #"text/plain ;a="\x\";b=\"y""#))
    }

    @Test("Many members, in any order, on any level, are compared by structure")
    func manyMembers() {
        let members = (0..<5_000).map { #""member\#($0)":\#($0)"# }
        func nested(_ members: [String], _ shuffle: ([String]) -> [String]) -> String {
            (0..<100).reduce("{" + members.joined(separator: ",") + "}") { text, level in
                "{" + shuffle([#""a\#(level)":1"#, #""b":\#(text)"#, #""c":2"#]).joined(separator: ", ") + "}"
            }
        }
        #expect(
            fingerprint(nested(members) { $0 })
                == fingerprint(nested(members.reversed()) { $0.reversed() }))
    }

    @Test("A random JSON value is known however it is written, and told from one that differs", arguments: 0..<64)
    func randomJSON(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<50 {
            let value = RandomJSON.value(using: &generator)
            let texts = (0..<3).map { _ in value.text(using: &generator) }
            #expect(Set(texts.map { fingerprint($0) }).count == 1, "\(texts)")
            let change = value.changed(using: &generator).text(using: &generator)
            #expect(fingerprint(texts[0]) != fingerprint(change), "\(texts[0]) \(change)")
        }
    }

    // MARK: Ignored members

    private func ignoring(_ pointers: String...) throws -> FingerprintRecipe {
        FingerprintRecipe(ignoredMembers: try pointers.map { try JSONPointer($0) })
    }

    @Test(
        "Ignored members do not count, wherever they are",
        arguments: [
            (#"{"sent":1,"a":2}"#, #"{"sent":3,"a":2}"#), (#"{"sent":1,"a":2}"#, #"{"a":2}"#),
            (#"{"a":2,"sent":{"x":[1]}}"#, #"{ "a" : 2 }"#), (#"{"sent":1}"#, "{}"),
            (#"{"\u0073ent":1,"a":2}"#, #"{"a":2}"#),
            (#"{"items":[{"id":1,"n":1},{"id":2}]}"#, #"{"items":[{"n":1},{"id":2}]}"#),
            (#"{"a~b":{"c/d":1}}"#, #"{"a~b":{}}"#),
        ])
    func ignored(lhs: String, rhs: String) throws {
        let recipe = try self.ignoring("/sent", "/items/0/id", "/a~0b/c~1d")
        #expect(fingerprint(lhs, recipe: recipe) == fingerprint(rhs, recipe: recipe))
        #expect(fingerprint(lhs).disagrees(with: fingerprint(rhs)))
    }

    @Test(
        "All but the ignored members count",
        arguments: [
            (#"{"sent":1,"a":2}"#, #"{"sent":1,"a":3}"#), (#"{"b":{"sent":1}}"#, #"{"b":{"sent":2}}"#),
            (#"{"items":[{"id":1},{"id":2}]}"#, #"{"items":[{"id":1},{"id":3}]}"#), ("[1]", "[2]"), ("1", "2"),
            (#"{"sent":1,"sent":1}"#, #"{"sent":1, "sent":1}"#),
        ])
    func notIgnored(lhs: String, rhs: String) throws {
        let recipe = try self.ignoring("/sent", "/items/0/id", "/0", "")
        #expect(fingerprint(lhs, recipe: recipe).disagrees(with: fingerprint(rhs, recipe: recipe)))
    }

    @Test("The order of ignored members does not make another recipe; other ones do")
    func ignoredRecipes() throws {
        #expect(try self.ignoring("/a", "/b") == self.ignoring("/b", "/a", "/b"))
        #expect(try self.ignoring("/a") != self.ignoring("/b"))
        #expect(try !fingerprint("[1]", recipe: self.ignoring("/a")).disagrees(with: fingerprint("[2]")))
    }
}

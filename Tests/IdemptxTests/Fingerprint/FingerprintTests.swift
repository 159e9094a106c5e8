import Foundation
import HTTPTypes
import Idemptx
import IdemptxTesting
import Testing

@Suite("Fingerprints of requests")
struct FingerprintTests {
    private func fingerprint(
        _ body: String = "",
        type: String? = "application/json",
        method: HTTPRequest.Method = .post,
        path: String = "/charges",
        headers: HTTPFields = [:],
        recipe: FingerprintRecipe = FingerprintRecipe(),
        chunk: Int = .max
    ) -> Fingerprint {
        var fields = headers
        if let type { fields[.contentType] = type }
        var builder = FingerprintBuilder(
            head: HTTPRequest(method: method, scheme: "https", authority: "a", path: path, headerFields: fields),
            recipe: recipe)
        var rest = Array(body.utf8)[...]
        while !rest.isEmpty {
            builder.update(Array(rest.prefix(chunk)))
            rest = rest.dropFirst(min(chunk, rest.count))
        }
        return builder.finalize()
    }

    // MARK: JSON

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
        #expect(self.fingerprint(lhs) == self.fingerprint(rhs))
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
        #expect(self.fingerprint(lhs).disagrees(with: self.fingerprint(rhs)))
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

    @Test("What is not JSON, or ambiguous, or too deep, is compared byte for byte", arguments: notCanonical)
    func bytes(text: String) {
        #expect(self.fingerprint(text) == self.fingerprint(text))
        #expect(self.fingerprint(text).disagrees(with: self.fingerprint(" " + text)))
    }

    @Test("128 levels of nesting are compared by structure")
    func depth() {
        let text = String(repeating: "[", count: 128) + String(repeating: "]", count: 128)
        #expect(self.fingerprint(text) == self.fingerprint(" " + text))
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
        #expect(self.fingerprint(#"{"a":1}"#, type: type) == self.fingerprint(#"{ "a": 1 }"#))
    }

    @Test("Types that end in +json are JSON, and types of their own")
    func structuredSuffix() {
        let type = "application/vnd.api+json"
        #expect(self.fingerprint("[1]", type: type) == self.fingerprint("[ 1 ]", type: type))
        #expect(self.fingerprint("[1]", type: type).disagrees(with: self.fingerprint("[1]")))
    }

    // MARK: Forms

    private let form = "application/x-www-form-urlencoded"

    @Test(
        "Forms with the same fields agree",
        arguments: [
            ("a=1&b=2", "b=2&a=1"), ("a=%41", "a=A"), ("a=x+y", "a=x%20y"), ("a=%c3%a9", "a=%C3%A9"),
            ("a=1&&b=2&", "a=1&b=2"), ("a", "a="), ("b=1&a=1&a=2", "a=1&a=2&b=1"),
        ])
    func forms(lhs: String, rhs: String) {
        #expect(self.fingerprint(lhs, type: self.form) == self.fingerprint(rhs, type: self.form))
    }

    @Test(
        "Forms with other fields disagree",
        arguments: [
            ("a=1", "a=2"), ("a=1&a=2", "a=2&a=1"), ("a=1&b=2", "a=1%26b=2"), ("a=b=c", "a%3Db=c"), ("a=%2B", "a=+"),
            ("a=%zz", "a=%25zz"), ("a=%4", "a=%254"),
        ])
    func differentForms(lhs: String, rhs: String) {
        #expect(self.fingerprint(lhs, type: self.form).disagrees(with: self.fingerprint(rhs, type: self.form)))
    }

    // MARK: Multipart

    private func multipart(
        _ boundary: String, amount: String = "5", name: String = "amount", tail: String = ""
    ) -> String {
        """
        --\(boundary)\r
        Content-Disposition: form-data; name="\(name)"\r
        \r
        \(amount)\r
        --\(boundary)\r
        content-type: application/pdf\r
        Content-Disposition: form-data; name="file"; filename="a.pdf"\r
        \r
        %PDF\r\n--\r
        --\(boundary)--\r
        \(tail)
        """
    }

    private func fingerprint(multipart body: String, boundary: String) -> Fingerprint {
        self.fingerprint(body, type: "multipart/form-data; boundary=\(boundary)")
    }

    @Test("The boundary of a multipart body does not count")
    func boundary() {
        let first = self.fingerprint(multipart: self.multipart("AaB03x"), boundary: "AaB03x")
        #expect(first == self.fingerprint(multipart: self.multipart("other"), boundary: "other"))
        #expect(first == self.fingerprint(multipart: self.multipart("q q"), boundary: "\"q q\""))
        let surrounded = "preamble\r\n" + self.multipart("x", tail: "epilogue")
        #expect(first == self.fingerprint(multipart: surrounded, boundary: "x"))
    }

    @Test("The parts of a multipart body count")
    func parts() {
        let first = self.fingerprint(multipart: self.multipart("x"), boundary: "x")
        for other in [self.multipart("x", amount: "6"), self.multipart("x", name: "sum")] {
            #expect(first.disagrees(with: self.fingerprint(multipart: other, boundary: "x")))
        }
    }

    @Test("The headers of a part count, in any order and case of their names")
    func partHeaders() {
        func part(_ headers: String) -> Fingerprint {
            self.fingerprint(multipart: "--x\r\n\(headers)\r\n\r\nbody\r\n--x--", boundary: "x")
        }
        #expect(part("A: 1\r\nB: 2") == part("b:2\r\na:1"))
        #expect(part("A: 1\r\nB: 2").disagrees(with: part("A: 2\r\nB: 1")))
        #expect(part("A: 1").disagrees(with: part("A: 1\r\nB: 2")))
    }

    @Test(
        "What is not multipart is compared byte for byte",
        arguments: [
            "", "--x", "--x\r\n\r\nbody", "--x\r\nbody\r\n--y--", "--x garbage\r\n\r\nbody\r\n--x--",
            "--x\r\nno colon\r\n\r\nbody\r\n--x--",
        ])
    func notMultipart(body: String) {
        let fingerprint = self.fingerprint(multipart: body, boundary: "x")
        #expect(fingerprint.disagrees(with: self.fingerprint(multipart: "ignored\r\n" + body, boundary: "x")))
    }

    @Test("A multipart body without a boundary is compared byte for byte")
    func noBoundary() {
        let (lhs, rhs) = (self.multipart("x"), self.multipart("y"))
        let type = "multipart/form-data"
        #expect(self.fingerprint(lhs, type: type).disagrees(with: self.fingerprint(rhs, type: type)))
    }

    // MARK: The rest of the request

    @Test("Method, path, query and media type count")
    func head() {
        let base = self.fingerprint("[1]")
        for other in [
            self.fingerprint("[1]", method: .patch), self.fingerprint("[1]", path: "/charge"),
            self.fingerprint("[1]", path: "/charges?a=1"), self.fingerprint("[1]", type: "text/json"),
            self.fingerprint("[1]", type: nil), self.fingerprint("[1]", type: "not a type"),
        ] {
            #expect(base.disagrees(with: other))
        }
        #expect(
            self.fingerprint("[1]", path: "/charges?a=1").disagrees(with: self.fingerprint("[1]", path: "/charges?a=2"))
        )
    }

    @Test("Headers count only if they were chosen, with all their values")
    func headers() throws {
        let name = try #require(HTTPField.Name("X-Tenant"))
        let recipe = FingerprintRecipe(headers: [name])
        func fingerprint(_ values: [String], _ recipe: FingerprintRecipe) -> Fingerprint {
            var fields = HTTPFields()
            for value in values { fields.append(HTTPField(name: name, value: value)) }
            return self.fingerprint("[1]", headers: fields, recipe: recipe)
        }
        #expect(fingerprint(["a"], FingerprintRecipe()) == fingerprint(["b"], FingerprintRecipe()))
        #expect(fingerprint(["a"], recipe).disagrees(with: fingerprint(["b"], recipe)))
        #expect(fingerprint(["a"], recipe).disagrees(with: fingerprint([], recipe)))
        #expect(fingerprint(["ab", "c"], recipe).disagrees(with: fingerprint(["a", "bc"], recipe)))
        #expect(fingerprint(["a", "b"], recipe).disagrees(with: fingerprint(["a, b"], recipe)))
    }

    @Test(
        "How a body is cut into chunks does not count", arguments: ["application/json", "text/plain", nil], [1, 3, 7])
    func chunks(type: String?, chunk: Int) {
        let body = #"{"b": [1, 2, "é"], "a": null}"#
        #expect(self.fingerprint(body, type: type, chunk: chunk) == self.fingerprint(body, type: type))
    }

    @Test("A raw body does not pass for a canonical one")
    func domains() {
        // The second body is compared byte for byte, being no form, and is what the first one becomes.
        let canonical = "\0\0\0\0\0\0\0\u{1}a\0\0\0\0\0\0\0\u{1}%"
        let lhs = self.fingerprint("a=%25", type: self.form)
        #expect(lhs.disagrees(with: self.fingerprint(canonical, type: self.form)))
    }

    @Test("With byte comparison every byte counts")
    func byteComparison() {
        let recipe = FingerprintRecipe(body: .bytes)
        let lhs = self.fingerprint("[1]", recipe: recipe)
        #expect(lhs == self.fingerprint("[1]", recipe: recipe))
        #expect(lhs.disagrees(with: self.fingerprint("[ 1]", recipe: recipe)))
    }

    @Test("Fingerprints of different recipes cannot be compared, and agree")
    func recipes() {
        let plain = self.fingerprint("[1]")
        for recipe in [FingerprintRecipe(headers: [.accept]), FingerprintRecipe(body: .bytes)] {
            let other = self.fingerprint("[2]", recipe: recipe)
            #expect(plain != other)
            #expect(!plain.disagrees(with: other))
            #expect(!other.disagrees(with: plain))
        }
        #expect(!plain.disagrees(with: .none))
        #expect(!plain.disagrees(with: Fingerprint(ofBytes: [1])))
    }

    @Test("The order and case of chosen headers do not make another recipe")
    func recipeOrder() throws {
        let upper = try #require(HTTPField.Name("ACCEPT"))
        #expect(FingerprintRecipe(headers: [.accept, .range]) == FingerprintRecipe(headers: [.range, upper, .accept]))
    }

    @Test("A fingerprint is stable between releases")
    func golden() {
        // Computed elsewhere: eight bytes of the SHA-256 of the length-prefixed method and path, then twenty-four of that
        // of method, path and media type, the byte 1 for JSON, and {"amount":1999,"currency":"EUR"}. A change breaks the
        // live keys of every user: raise the version instead.
        let expected = "44c85da1750f20abeabce3cf1a052d9cb5d8f6e03a445381f68268ed1e22eab8"
        #expect(self.fingerprint(#"{"currency": "EUR", "amount": 1999}"#).hexadecimal == expected)
    }

    @Test("Other methods and paths disagree even if the recipes differ")
    func target() throws {
        let version = try #require(HTTPField.Name("X-Version"))
        let recipes = [FingerprintRecipe(), FingerprintRecipe(body: .bytes), FingerprintRecipe(headers: [version])]
        let charge = self.fingerprint("1")
        for recipe in recipes {
            #expect(charge.disagrees(with: self.fingerprint("1", path: "/refunds", recipe: recipe)))
            #expect(charge.disagrees(with: self.fingerprint("1", method: .patch, recipe: recipe)))
        }
        for recipe in recipes.dropFirst() {
            #expect(!charge.disagrees(with: self.fingerprint("2", recipe: recipe)))
        }
        #expect(!charge.disagrees(with: Fingerprint(ofBytes: [1])))
        #expect(!charge.disagrees(with: .none))
    }

    @Test("A form with more fields than can be sorted at little cost is compared byte for byte")
    func manyFields() {
        let few = (0..<10_000).map { "a\($0)=1" }
        #expect(
            self.fingerprint(few.joined(separator: "&"), type: self.form)
                == self.fingerprint(few.reversed().joined(separator: "&"), type: self.form))
        let many = few + ["b=1"]
        #expect(
            self.fingerprint(many.joined(separator: "&"), type: self.form)
                != self.fingerprint(many.reversed().joined(separator: "&"), type: self.form))
    }

    @Test(
        "Parts of a multipart body whose headers do not end are not taken for others",
        arguments: [("A: b", "\r\nA: b"), ("A: b\r\nC: d", "A: b\r\n\r\nC: d")])
    func openHeaders(lhs: String, rhs: String) {
        func body(_ part: String) -> Fingerprint {
            self.fingerprint("--x\r\n\(part)\r\n--x--", type: "multipart/form-data; boundary=x")
        }
        #expect(body(lhs) != body(rhs))
    }

    // MARK: Functions

    @Test("Values are fingerprinted by structure, bytes as they are")
    func values() throws {
        struct Order: Encodable {
            let amount: Int
            let tags: [String: Int]
        }
        let tags = Dictionary(uniqueKeysWithValues: (0..<20).map { ("t\($0)", $0) })
        let order = try Fingerprint(of: Order(amount: 5, tags: tags))
        #expect(try order == Fingerprint(of: Order(amount: 5, tags: tags)))
        #expect(try order.disagrees(with: Fingerprint(of: Order(amount: 6, tags: tags))))
        #expect(Fingerprint(ofBytes: [1, 2]).disagrees(with: Fingerprint(ofBytes: [1, 3])))
    }

    @Test("A random JSON value is known however it is written, and told from one that differs", arguments: 0..<64)
    func randomJSON(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<50 {
            let value = RandomJSON.value(using: &generator)
            let texts = (0..<3).map { _ in value.text(using: &generator) }
            #expect(Set(texts.map { self.fingerprint($0) }).count == 1, "\(texts)")
            let change = value.changed(using: &generator).text(using: &generator)
            #expect(self.fingerprint(texts[0]) != self.fingerprint(change), "\(texts[0]) \(change)")
        }
    }

    @Test("No random text traps", arguments: 0..<20)
    func fuzz(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let alphabet = Array(#"{}[]",:\u0d8"# + "\r\n-x e1.=&%+;\u{1}é")
        for _ in 0..<1_000 {
            let text = String(
                (0..<Int.random(in: 0...30, using: &generator)).map { _ in
                    alphabet[Int.random(in: 0..<alphabet.count, using: &generator)]
                })
            for type in ["application/json", self.form, "multipart/form-data; boundary=x", text] {
                #expect(self.fingerprint(text, type: type) == self.fingerprint(text, type: type, chunk: 2))
            }
        }
    }
}

import Foundation
import HTTPTypes
import Idemptx
import IdemptxTesting
import Testing

@Suite("A key from elsewhere")
struct KeySourceTests {
    /// What the operation saw, or the problem that it was refused with.
    private enum Result: Equatable {
        case key(String)
        case passed
        case problem(String, reason: String? = nil)
    }

    private struct Problem: Decodable {
        let type: String
        let reason: String?
    }

    private func send(
        _ source: KeySource,
        body: String = "",
        headers: HTTPFields = [:],
        change: (inout IdempotencyPolicy) -> Void = { _ in }
    ) async throws -> Result {
        let policy = IdempotencyPolicy {
            $0.keySource = source
            change(&$0)
        }
        var fields = headers
        if fields[.contentLength] == nil { fields[.contentLength] = "\(body.utf8.count)" }
        let head = HTTPRequest(
            method: .post, scheme: "https", authority: "example.com", path: "/charges", headerFields: fields)
        return try await self.result(to: head, body: body, under: policy)
    }

    private func result(
        to head: HTTPRequest,
        body: String = "",
        under policy: IdempotencyPolicy?
    ) async throws -> Result {
        let parts = try await Workbench().idempotency.respond(
            to: TestAdapter.Request(head: head, body: Array(body.utf8)), through: TestAdapter(),
            scope: { _ in .unscoped }, policy: policy,
            operation: { _, context in
                let text = context.map { "key " + $0.key } ?? "passed"
                return ResponseParts(head: HTTPResponse(status: .ok), body: .bytes(Array(text.utf8)))
            })
        let fields = parts.head.headerFields
        #expect(fields[.idempotencyKey] == nil)
        let bytes = try await parts.sent()
        let text = String(decoding: bytes, as: UTF8.self)
        if text.hasPrefix("key ") {
            #expect(fields[.idempotencyStatus] == "new")
            return .key(String(text.dropFirst(4)))
        }
        #expect(fields[.idempotencyStatus] == nil)
        if text == "passed" { return .passed }
        let problem = try JSONDecoder().decode(Problem.self, from: Data(bytes))
        return .problem(String(problem.type.split(separator: ":").last ?? ""), reason: problem.reason)
    }

    // MARK: Another header

    private let delivery = HTTPField.Name("X-GitHub-Delivery")

    @Test(
        "is the value of a header as it stands",
        arguments: ["72d3162e-cc78", "\"quoted\";a=1", "with, commas & blanks"])
    func header(value: String) async throws {
        let name = try #require(self.delivery)
        #expect(try await self.send(.header(name), headers: [name: value]) == .key(value))
    }

    @Test("makes the header Idempotency-Key a header like any other")
    func otherHeader() async throws {
        let source = KeySource.header(try #require(self.delivery))
        #expect(try await self.send(source, headers: [.idempotencyKey: "k-1"]) == .problem("key-missing"))
        #expect(try await self.send(source, headers: [.idempotencyKey: "k-1"]) { $0.required = false } == .passed)
    }

    @Test("is refused if its header is empty, too long, no ASCII, or repeated")
    func badHeader() async throws {
        let name = try #require(self.delivery)
        for (value, reason) in [
            ("", "empty"), (String(repeating: "k", count: 256), "too_long"), ("clé", "invalid_character"),
        ] {
            #expect(
                try await self.send(.header(name), headers: [name: value]) { $0.required = false }
                    == .problem("key-invalid", reason: reason))
        }
        var headers = HTTPFields()
        headers.append(HTTPField(name: name, value: "k-1"))
        headers.append(HTTPField(name: name, value: "k-1"))
        #expect(
            try await self.send(.header(name), headers: headers) == .problem("key-invalid", reason: "repeated"))
    }

    // MARK: Several headers

    private func headers(_ values: String?...) -> HTTPFields {
        let names = [HTTPField.Name("X-Message"), HTTPField.Name("X-Sender")].compactMap(\.self)
        return HTTPFields(
            zip(names, values).compactMap { name, value in value.map { HTTPField(name: name, value: $0) } })
    }

    private var messageAndSender: KeySource {
        .headers(["X-Sender", "X-Message"].compactMap { HTTPField.Name($0) })
    }

    @Test("is all of several headers together, and tells their values apart")
    func severalHeaders() async throws {
        let source = self.messageAndSender
        let pairs = [("a", "b"), ("b", "a"), ("a;b", "c"), ("a", "b;c"), ("a%3Bb", "c"), ("a%", "3Bb;c")]
        var keys: Set<String> = []
        for pair in pairs {
            guard case .key(let key) = try await self.send(source, headers: self.headers(pair.0, pair.1)) else {
                throw CardDeclined()
            }
            keys.insert(key)
        }
        #expect(keys.count == pairs.count)
        #expect(keys.contains("a;b"))
    }

    @Test("is missing without one of several headers")
    func someHeaders() async throws {
        for headers in [[:], self.headers("a"), self.headers(nil, "a"), self.headers("null")] {
            #expect(
                try await self.send(self.messageAndSender, headers: headers) { $0.required = true }
                    == .problem("key-missing"))
            #expect(
                try await self.send(self.messageAndSender, headers: headers) { $0.required = false } == .passed)
        }
        #expect(
            try await self.send(self.messageAndSender, headers: self.headers("null", "a"))
                == .problem("key-invalid", reason: "placeholder"))
        #expect(
            try await self.send(self.messageAndSender, headers: self.headers("aaa", "bbb")) { $0.maxKeyLength = 6 }
                == .problem("key-invalid", reason: "too_long"))
    }

    // MARK: Placeholders and UUIDs

    static let placeholders = [
        "undefined", "null", "None", "nil", "NaN", "[object Object]", "00000000-0000-0000-0000-000000000000",
    ]

    @Test("is invalid where a client had no value, from whatever source it comes", arguments: placeholders)
    func placeholder(text: String) async throws {
        let problem = Result.problem("key-invalid", reason: "placeholder")
        let name = try #require(self.delivery)
        #expect(try await self.send(.header(name), headers: [name: text]) == problem)
        #expect(try await self.key(at: "/id", in: #"{"id":"\#(text)"}"#) == problem)
        let form: HTTPFields = [.contentType: "application/x-www-form-urlencoded"]
        #expect(try await self.send(.formField("id"), body: "id=\(text)", headers: form) == problem)
        #expect(try await self.send(.custom { _, _ in text }) == problem)
        #expect(throws: IdempotencyKey.ValidationError.placeholder) { try IdempotencyKey(text) }
    }

    @Test("is the same for a UUID in upper case: libraries write it so, and databases return lower case")
    func uuid() throws {
        let upper = "8E03978E-40D5-43E8-BC93-6894A57F9324"
        let keys = try [upper, upper.lowercased()].map { try IdempotencyKey($0) }
        #expect(keys[0] == keys[1])
        #expect(Set(keys).count == 1)
        #expect(StorageKey(scope: .unscoped, key: keys[0]) == StorageKey(scope: .unscoped, key: keys[1]))
        #expect(keys[0].rawValue == upper)
    }

    @Test(
        "is compared with its case unless it is a UUID in the usual form",
        arguments: ["8E03978E40D543E8BC936894A57F9324", "8E03978E-40D5-43E8-BC93-6894A57F932G", "ORDER-1"])
    func noUUID(text: String) throws {
        let keys = try [text, text.lowercased()].map { try IdempotencyKey($0) }
        #expect(keys[0] != keys[1])
        #expect(StorageKey(scope: .unscoped, key: keys[0]) != StorageKey(scope: .unscoped, key: keys[1]))
    }

    // MARK: The query

    @Test(
        "is an item of the query",
        arguments: [
            ("?id=1", .key("1")), ("?a=2&id=%31", .key("1")), ("?%69d=1+2", .key("1 2")),
            ("?id=1&b=%zz", .problem("key-invalid", reason: "malformed")),
            ("?id=1&id=1", .problem("key-invalid", reason: "repeated")),
            ("?id=", .problem("key-invalid", reason: "empty")), ("?id", .problem("key-invalid", reason: "empty")),
            ("?id=null", .problem("key-invalid", reason: "placeholder")),
            ("?id=%C3%A9", .problem("key-invalid", reason: "invalid_character")), ("", .problem("key-missing")),
            ("?", .problem("key-missing")), ("?ID=1", .problem("key-missing")), ("id=1", .problem("key-missing")),
        ] as [(String, Result)])
    private func query(query: String, result: Result) async throws {
        let head = HTTPRequest(method: .post, scheme: "https", authority: "example.com", path: "/" + query)
        let policy = IdempotencyPolicy { $0.keySource = .queryItem("id") }
        #expect(try await self.result(to: head, under: policy) == result)
    }

    // MARK: Forms

    @Test(
        "is a field of a form",
        arguments: [
            ("id=k-1&a=1", .key("k-1")), ("a=1&i%64=k+1", .key("k 1")), ("a=1", .problem("key-missing")),
            ("", .problem("key-missing")), ("id=k-1&id=k-1", .problem("key-invalid", reason: "repeated")),
            ("id=k-1&a=%z", .problem("key-invalid", reason: "malformed")),
            ("id=", .problem("key-invalid", reason: "empty")),
        ] as [(String, Result)])
    private func form(body: String, result: Result) async throws {
        let headers: HTTPFields = [.contentType: "application/x-www-form-urlencoded"]
        #expect(try await self.send(.formField("id"), body: body, headers: headers) == result)
    }

    @Test(
        "is a part of a multipart form",
        arguments: [
            (["id": "k-1"], .key("k-1")), (["a": "1"], .problem("key-missing")),
            (["a": "1", "id": "k-1"], .key("k-1")),
        ] as [([String: String], Result)])
    private func multipartForm(fields: [String: String], result: Result) async throws {
        let parts = fields.map { "--x\r\ncontent-disposition: form-data; name=\"\($0)\"\r\n\r\n\($1)\r\n" }
        let headers: HTTPFields = [.contentType: "multipart/form-data; boundary=x"]
        let source = KeySource.formField("id")
        #expect(try await self.send(source, body: parts.joined() + "--x--", headers: headers) == result)
        if case .key = result {
            let twice = parts.joined() + parts.joined() + "--x--"
            #expect(
                try await self.send(source, body: twice, headers: headers)
                    == .problem("key-invalid", reason: "repeated"))
        }
        #expect(
            try await self.send(source, body: "--y--", headers: headers)
                == .problem("key-invalid", reason: "malformed"))
    }

    @Test("is the field of a form whose name has the same bytes", arguments: ["\u{E9}", "e\u{301}"])
    func normalForms(name: String) async throws {
        let bodies: [(type: String, body: String)] = [
            ("application/x-www-form-urlencoded", "\(name)=k-1"),
            (
                "multipart/form-data; boundary=x",
                "--x\r\ncontent-disposition: form-data; name=\"\(name)\"\r\n\r\nk-1\r\n--x--"
            ),
        ]
        let expected = name.utf8.count == 2 ? Result.key("k-1") : .problem("key-missing")
        for (type, body) in bodies {
            #expect(
                try await self.send(.formField("\u{E9}"), body: body, headers: [.contentType: type]) == expected)
        }
    }

    @Test(
        "is not looked for in a body that is not a form",
        arguments: ["application/json", "multipart/mixed; boundary=x"])
    func noForm(contentType: String) async throws {
        #expect(
            try await self.send(.formField("id"), body: "id=1", headers: [.contentType: contentType])
                == .problem("key-invalid", reason: "unsupported_media_type"))
    }

    // MARK: A function

    @Test("is what a function finds in head and body, or refuses")
    func function() async throws {
        let source = KeySource.custom { head, body in
            guard body.first != UInt8(ascii: "!") else { throw IdempotencyKey.ValidationError.invalidCharacter }
            guard body.first != UInt8(ascii: "?") else { throw CardDeclined() }
            return body.isEmpty ? nil : "\(head.method)-\(body.count)"
        }
        #expect(try await self.send(source, body: "abc") == .key("POST-3"))
        #expect(try await self.send(source) == .problem("key-missing"))
        #expect(try await self.send(source, body: "!") == .problem("key-invalid", reason: "invalid_character"))
        #expect(try await self.send(source, body: "?") == .problem("key-invalid", reason: "malformed"))
    }

    @Test("is found in a body that is compared byte for byte, and in an ignored member")
    func otherRecipes() async throws {
        let body = #"{ "id": "k-1", "a": 1 }"#
        let recipes = [
            FingerprintRecipe(comparesStructure: false), FingerprintRecipe(ignoredMembers: [try JSONPointer("/id")]),
        ]
        for recipe in recipes {
            #expect(try await self.key(at: "/id", in: body) { $0.fingerprint = recipe } == .key("k-1"))
        }
    }

    // MARK: The body

    private func key(
        at pointer: String,
        in body: String,
        contentType: String = "application/json",
        change: (inout IdempotencyPolicy) -> Void = { _ in }
    ) async throws -> Result {
        try await self.send(
            .json(try JSONPointer(pointer)), body: body, headers: [.contentType: contentType], change: change)
    }

    /// The document of RFC 6901, section 5, and more.
    private static let document = #"""
        {
          "foo": ["bar", "baz"], "": "0", "a/b": "1", "c%d": "2", "e^f": "3", "g|h": "4", "i\\j": "5", "k\"l": "6",
          " ": "7", "m~n": "8", "nested": {"list": [{"id": "deep"}, [1, "x"]], "text": "}]\",{"}, "\u00e9": "9",
          "n": -12, "m": {"\u0301": "10"}
        }
        """#

    @Test(
        "is where a JSON pointer leads",
        arguments: [
            ("/foo/0", "bar"), ("/foo/1", "baz"), ("/", "0"), ("/a~1b", "1"), ("/c%d", "2"), ("/e^f", "3"),
            ("/g|h", "4"), (#"/i\j"#, "5"), (#"/k"l"#, "6"), ("/ ", "7"), ("/m~0n", "8"), ("/nested/list/0/id", "deep"),
            ("/nested/list/1/0", "1"), ("/nested/list/1/1", "x"), ("/nested/text", #"}]",{"#), ("/é", "9"),
            ("/n", "-12"), ("/m/\u{301}", "10"),
        ])
    func pointer(pointer: String, key: String) async throws {
        #expect(try await self.key(at: pointer, in: Self.document) == .key(key))
        #expect(try JSONPointer(pointer).description == pointer)
    }

    @Test(
        "is missing where nothing is",
        arguments: [
            "/bar", "/foo/2", "/foo/-", "/foo/01", "/foo/-1", "/foo/+1", "/foo/x", "/foo/", "/foo/99999999999999999999",
            "/foo/0/0", "/nested/text/0", "/n/0", "/FOO", "/nested/list/0/id/x", "/e\u{301}",
        ])
    func missing(pointer: String) async throws {
        #expect(try await self.key(at: pointer, in: Self.document) == .problem("key-missing"))
        #expect(try await self.key(at: pointer, in: Self.document) { $0.required = false } == .passed)
    }

    @Test("is all of the document for the empty pointer")
    func wholeDocument() async throws {
        #expect(try await self.key(at: "", in: #" "k-1" "#) == .key("k-1"))
        #expect(try await self.key(at: "", in: "17") == .key("17"))
    }

    @Test(
        "is missing in empty containers and scalars",
        arguments: ["{}", "[]", #"{"a":{}}"#, "[[]]", "null", "0", "\"\""])
    func emptyContainers(document: String) async throws {
        #expect(try await self.key(at: "/a/0", in: document) == .problem("key-missing"))
        #expect(try await self.key(at: "/0/0", in: document) == .problem("key-missing"))
    }

    @Test(
        "is invalid where a body of its media type cannot have it, and passes where none is required",
        arguments: ["text/plain", "application/x-www-form-urlencoded", nil])
    func otherMediaType(contentType: String?) async throws {
        let body = #"{"id":"k-1"}"#
        let headers: HTTPFields = contentType.map { [.contentType: $0] } ?? [:]
        let source = KeySource.json(try JSONPointer("/id"))
        #expect(
            try await self.send(source, body: body, headers: headers)
                == .problem("key-invalid", reason: "unsupported_media_type"))
        #expect(try await self.send(source, body: body, headers: headers) { $0.required = false } == .passed)
        #expect(try await self.key(at: "/id", in: body, contentType: "application/cloudevents+json") == .key("k-1"))
    }

    @Test("is missing where there is no body at all")
    func noBody() async throws {
        #expect(try await self.send(.json(try JSONPointer("/id"))) == .problem("key-missing"))
    }

    @Test(
        "is an integer as it is written, or refused",
        arguments: [
            ("1", .key("1")), ("-0", .key("-0")),
            ("123456789012345678901234567890", .key("123456789012345678901234567890")),
            ("1.0", .problem("key-invalid", reason: "malformed")),
            ("1e3", .problem("key-invalid", reason: "malformed")),
            ("true", .problem("key-invalid", reason: "malformed")),
            ("null", .problem("key-invalid", reason: "malformed")),
            ("[1]", .problem("key-invalid", reason: "malformed")), ("{}", .problem("key-invalid", reason: "malformed")),
            (#""""#, .problem("key-invalid", reason: "empty")),
            (#""a\u0000b""#, .problem("key-invalid", reason: "invalid_character")),
            (#""\u00e9""#, .problem("key-invalid", reason: "invalid_character")),
            (#""\u006b\"\\\/""#, .key(#"k"\/"#)),
        ] as [(String, Result)])
    private func literals(literal: String, result: Result) async throws {
        #expect(try await self.key(at: "/id", in: #"{"id":\#(literal)}"#) { $0.required = false } == result)
    }

    @Test(
        "is refused in a body that cannot be read, or could be read in two ways",
        arguments: [
            "", "{", #"{"id":"k-1""#, #"{"id":"k-1"} x"#, #"{"id":"k-1","id":"k-2"}"#, #"{"id":"k-1","a":1,"a":1}"#,
        ])
    func unreadable(body: String) async throws {
        #expect(
            try await self.key(at: "/id", in: body) { $0.required = false }
                == .problem("key-invalid", reason: "malformed"))
    }

    @Test("is found whatever stands beside it", arguments: 0..<50)
    func neighbors(seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        let (before, after) = (RandomJSON.value(using: &generator), RandomJSON.value(using: &generator))
        let body = #"{"a":\#(before.text(using: &generator)), "id":"k-1" ,"z":\#(after.text(using: &generator))}"#
        #expect(try await self.key(at: "/id", in: body) == .key("k-1"))
    }

    @Test("counts for a request of another body as well")
    func otherBody() async throws {
        let bench = Workbench()
        bench.idempotency.policy.keySource = .json(try JSONPointer("/id"))
        let service = GuardedService(bench.idempotency)
        let headers: HTTPFields = [.contentType: "application/json"]
        _ = try await service.send(key: nil, body: #"{"id":1,"amount":5}"#, headers: headers)
        let again = try await service.send(key: nil, body: #"{"amount": 5, "id": 1}"#, headers: headers)
        #expect(again.head.headerFields[.idempotentReplayed] == "true")
        let other = try await service.send(key: nil, body: #"{"id":1,"amount":6}"#, headers: headers)
        #expect(other.head.status == .unprocessableContent)
    }

    @Test("leaves the limits of a body as they are, also without a key")
    func limits() async throws {
        let body = #"{"id":"k-1"}"#
        #expect(try await self.key(at: "/id", in: body) { $0.maxRequestBody = 5 } == .problem("body-too-large"))
        #expect(
            try await self.send(
                .json(try JSONPointer("/id")), body: body,
                headers: [.contentType: "application/json", .contentLength: "99"]) == .problem("body-incomplete"))
    }

    @Test("refuses nothing while the layer only observes")
    func observed() async throws {
        for body in ["{", "{}", #"{"id":true}"#] {
            #expect(try await self.key(at: "/id", in: body) { $0.mode = .observe } == .passed)
        }
    }

    @Test(
        "has a pointer that starts with a slash, and escapes tildes",
        arguments: ["a", "a/b", "/~", "/~2", "/a~", "/~~0"])
    func malformedPointer(text: String) {
        #expect(throws: JSONPointer.Malformed.self) { try JSONPointer(text) }
    }

    @Test("can be in another place for each request")
    func perRequest() async throws {
        let name = try #require(self.delivery)
        let head = HTTPRequest(
            method: .put, scheme: "https", authority: "example.com", path: "/", headerFields: [name: "d-1"])
        #expect(try await self.result(to: head, under: nil) == .passed)
        let policy = IdempotencyPolicy {
            $0.methods = [.put]
            $0.keySource = .header(name)
        }
        #expect(try await self.result(to: head, under: policy) == .key("d-1"))
    }
}

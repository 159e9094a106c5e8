import Foundation
import HTTPTypes
import Idemptx
import Testing

@Suite("Fingerprints of requests")
struct FingerprintTests {
    @Test("Method, path, query and media type count")
    func head() {
        let base = fingerprint("[1]")
        for other in [
            fingerprint("[1]", method: .patch), fingerprint("[1]", path: "/charge"),
            fingerprint("[1]", path: "/charges?a=1"), fingerprint("[1]", type: "text/json"),
            fingerprint("[1]", type: nil), fingerprint("[1]", type: "not a type"),
        ] {
            #expect(base.disagrees(with: other))
        }
        #expect(
            fingerprint("[1]", path: "/charges?a=1").disagrees(with: fingerprint("[1]", path: "/charges?a=2"))
        )
    }

    @Test("Headers count only if they were chosen, with all their values")
    func headers() throws {
        let name = try #require(HTTPField.Name("X-Tenant"))
        let recipe = FingerprintRecipe(headers: [name])
        func ofTenants(_ values: [String], _ recipe: FingerprintRecipe) -> Fingerprint {
            var fields = HTTPFields()
            for value in values { fields.append(HTTPField(name: name, value: value)) }
            return fingerprint("[1]", headers: fields, recipe: recipe)
        }
        #expect(ofTenants(["a"], FingerprintRecipe()) == ofTenants(["b"], FingerprintRecipe()))
        #expect(ofTenants(["a"], recipe).disagrees(with: ofTenants(["b"], recipe)))
        #expect(ofTenants(["a"], recipe).disagrees(with: ofTenants([], recipe)))
        #expect(ofTenants(["ab", "c"], recipe).disagrees(with: ofTenants(["a", "bc"], recipe)))
        #expect(ofTenants(["a", "b"], recipe).disagrees(with: ofTenants(["a, b"], recipe)))
    }

    @Test(
        "How a body is cut into chunks does not count", arguments: ["application/json", "text/plain", nil], [1, 3, 7])
    func chunks(type: String?, chunk: Int) {
        let body = #"{"b": [1, 2, "é"], "a": null}"#
        #expect(fingerprint(body, type: type, chunk: chunk) == fingerprint(body, type: type))
    }

    @Test("With byte comparison every byte counts")
    func byteComparison() {
        let recipe = FingerprintRecipe(comparesStructure: false)
        let lhs = fingerprint("[1]", recipe: recipe)
        #expect(lhs == fingerprint("[1]", recipe: recipe))
        #expect(lhs.disagrees(with: fingerprint("[ 1]", recipe: recipe)))
    }

    @Test("Fingerprints of different recipes cannot be compared, and agree")
    func recipes() {
        let plain = fingerprint("[1]")
        for recipe in [FingerprintRecipe(headers: [.accept]), FingerprintRecipe(comparesStructure: false)] {
            let other = fingerprint("[2]", recipe: recipe)
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
        // Computed elsewhere: eight bytes of the SHA-256 of the length-prefixed method and path, sixteen of that of
        // method, path and media type, the byte 1 for JSON, and {"amount":1999,"currency":"EUR"}, and eight of that of the
        // host. A change breaks the live keys of every user: raise the version instead.
        let expected = "44c85da1750f20abeabce3cf1a052d9cb5d8f6e03a445381ca978112ca1bbdca"
        #expect(fingerprint(#"{"currency": "EUR", "amount": 1999}"#).hexadecimal == expected)
    }

    @Test("Other methods and paths disagree even if the recipes differ")
    func target() throws {
        let version = try #require(HTTPField.Name("X-Version"))
        let recipes = [
            FingerprintRecipe(), FingerprintRecipe(comparesStructure: false), FingerprintRecipe(headers: [version]),
        ]
        let charge = fingerprint("1")
        for recipe in recipes {
            #expect(charge.disagrees(with: fingerprint("1", path: "/refunds", recipe: recipe)))
            #expect(charge.disagrees(with: fingerprint("1", method: .patch, recipe: recipe)))
        }
        for recipe in recipes.dropFirst() {
            #expect(!charge.disagrees(with: fingerprint("2", recipe: recipe)))
        }
        #expect(!charge.disagrees(with: Fingerprint(ofBytes: [1])))
        #expect(!charge.disagrees(with: .none))
    }

    // MARK: The host, and version 1

    private let withoutHost = FingerprintRecipe(fingerprintHost: false)

    @Test("Without the host, a fingerprint is that of version 1")
    func goldenVersion1() {
        let expected = "44c85da1750f20abeabce3cf1a052d9cb5d8f6e03a445381f68268ed1e22eab8"
        let fingerprint = fingerprint(#"{"currency": "EUR", "amount": 1999}"#, recipe: self.withoutHost)
        #expect(fingerprint.hexadecimal == expected)
    }

    @Test("The host counts: one tenant does not get the response of another")
    func host() {
        let one = fingerprint("[1]", host: "tenant-a.example.com")
        #expect(one.disagrees(with: fingerprint("[1]", host: "tenant-b.example.com")))
        #expect(one.disagrees(with: fingerprint("[1]", host: nil)))
        #expect(
            fingerprint("[1]", host: "tenant-a.example.com", recipe: self.withoutHost)
                == fingerprint("[1]", host: "tenant-b.example.com", recipe: self.withoutHost))
    }

    @Test(
        "Neither the case nor the port of a host counts",
        arguments: [
            ("API.Example.com", "api.example.com"), ("api.example.com:8443", "api.example.com"), ("[::1]:80", "[::1]"),
        ])
    func hostForms(lhs: String, rhs: String) {
        #expect(fingerprint("[1]", host: lhs) == fingerprint("[1]", host: rhs))
    }

    @Test("IPv6 addresses that differ in their last group are different hosts")
    func addresses() {
        #expect(fingerprint("[1]", host: "[::1]").disagrees(with: fingerprint("[1]", host: "[::2]")))
    }

    @Test("The host may come in a header of its own")
    func hostHeader() throws {
        let host = try #require(HTTPField.Name("Host"))
        #expect(fingerprint(host: nil, headers: [host: "A:80"]) == fingerprint(host: "a"))
    }

    @Test("A live fingerprint of version 1 is compared by all but the host")
    func version1() {
        let live = fingerprint("[1]", recipe: self.withoutHost)
        for host in ["a", "b"] {
            #expect(!live.disagrees(with: fingerprint("[1]", host: host)))
            #expect(!fingerprint("[1]", host: host).disagrees(with: live))
            for other in [
                fingerprint("[2]", host: host), fingerprint("[1]", path: "/refunds", host: host),
                fingerprint("[1]", method: .patch, host: host), fingerprint("[1]", type: nil, host: host),
            ] {
                #expect(live.disagrees(with: other))
                #expect(other.disagrees(with: live))
            }
        }
    }

    @Test("A live fingerprint of version 1 and other headers is compared by method and path")
    func version1OfOtherHeaders() {
        let live = fingerprint("[1]", recipe: FingerprintRecipe(headers: [.accept], fingerprintHost: false))
        #expect(!live.disagrees(with: fingerprint("[2]")))
        #expect(live.disagrees(with: fingerprint("[1]", path: "/refunds")))
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
}

import Foundation
import HTTPTypes
import Idemptx
import Testing

@Suite("Scopes and storage keys")
struct ScopeTests {
    private let key: IdempotencyKey

    init() throws {
        self.key = try IdempotencyKey("k-1")
    }

    private func storageKey(_ scope: Scope) -> StorageKey { StorageKey(scope: scope, key: self.key) }

    private func token(_ claims: String, signature: String = "sig") -> HTTPFields {
        let payload = Data(claims.utf8).base64EncodedString()
            .replacingOccurrences(of: "+", with: "-").replacingOccurrences(of: "/", with: "_")
            .replacingOccurrences(of: "=", with: "")
        return [.authorization: "Bearer eyJhbGciOiJIUzI1NiJ9.\(payload).\(signature)"]
    }

    @Test("The parts of a storage key cannot be shifted into each other")
    func lengthPrefixed() throws {
        let keys = [
            StorageKey(namespace: "a", scope: .principal("b"), key: try IdempotencyKey("c")),
            StorageKey(namespace: "ab", scope: .principal(""), key: try IdempotencyKey("c")),
            StorageKey(namespace: "", scope: .principal("ab"), key: try IdempotencyKey("c")),
            StorageKey(namespace: "a", scope: .principal(""), key: try IdempotencyKey("bc")),
            StorageKey(namespace: "", scope: .principal("a"), key: try IdempotencyKey("bc")),
            StorageKey(namespace: "", scope: .principal(""), key: try IdempotencyKey("abc")),
            StorageKey(namespace: "", scope: .unscoped, key: try IdempotencyKey("abc")),
        ]
        #expect(Set(keys).count == keys.count)
    }

    @Test("Scopes of different kinds never meet")
    func kinds() {
        let scopes: [Scope] = [
            .unscoped, .principal("x"), .authorization(in: [.authorization: "x"]), .authorization(in: [:]),
            .jwtSubject(in: self.token(#"{"sub":"x"}"#)), .jwtSubject(in: self.token(#"{"sub":"x","iss":"y"}"#)),
            .principal(""), .headers([.userAgent], in: [.userAgent: "x"]),
        ]
        #expect(Set(scopes.map(self.storageKey)).count == scopes.count)
    }

    @Test("The default scope is the whole header; without it there is one anonymous scope")
    func authorization() {
        let one = Scope.authorization(in: [.authorization: "Bearer one"])
        #expect(one == .authorization(in: [.authorization: "Bearer one", .accept: "*/*"]))
        #expect(one != .authorization(in: [.authorization: "Bearer two"]))
        #expect(Scope.authorization(in: [:]) == .authorization(in: [.accept: "*/*"]))
    }

    @Test("The subject of a token survives its renewal")
    func subject() {
        let first = Scope.jwtSubject(in: self.token(#"{"sub":"u1","iss":"i","exp":1}"#, signature: "a"))
        #expect(first == .jwtSubject(in: self.token(#"{"exp":2,"iss":"i","sub":"u1"}"#, signature: "b")))
        #expect(first != .jwtSubject(in: self.token(#"{"sub":"u2","iss":"i"}"#)))
        #expect(first != .jwtSubject(in: self.token(#"{"sub":"u1","iss":"j"}"#)))
        #expect(first != .jwtSubject(in: self.token(#"{"sub":"u1"}"#)))
    }

    @Test(
        "What is no token with a subject is scoped by the whole header",
        arguments: ["Basic dTpw", "Bearer", "Bearer a.b", "Bearer a.%%%.c", "Bearer a.e30.c", "Bearer a b.c.d", ""])
    func notAToken(header: String) {
        let fields: HTTPFields = [.authorization: header]
        #expect(Scope.jwtSubject(in: fields) == .authorization(in: fields))
    }

    @Test("Two Authorization lines are not one")
    func twoLines() {
        var fields = HTTPFields()
        fields.append(HTTPField(name: .authorization, value: "a"))
        fields.append(HTTPField(name: .authorization, value: "b"))
        #expect(Scope.authorization(in: fields) != .authorization(in: [.authorization: "a, b"]))
        #expect(Scope.jwtSubject(in: fields) == .authorization(in: fields))
    }

    @Test("Chosen headers count with all of their lines, whatever the order in which they are chosen")
    func headers() {
        var twice: HTTPFields = [.authorization: "a", .userAgent: "curl"]
        twice.append(HTTPField(name: .authorization, value: "b"))
        let scope = Scope.headers([.authorization, .origin], in: twice)
        #expect(scope == .headers([.origin, .authorization, .origin], in: twice))
        #expect(scope != .headers([.authorization, .origin], in: [.authorization: "a, b"]))
        #expect(scope != .headers([.authorization], in: twice))
        #expect(
            Scope.headers([.authorization, .origin], in: [.authorization: "a"])
                != .headers([.authorization, .origin], in: [.origin: "a"]))
        #expect(Scope.headers([], in: twice) == .unscoped)
    }

    @Test("Neither a key nor an identity shows in a description")
    func descriptions() throws {
        let secret = "s3cret-value"
        let key = try IdempotencyKey(secret)
        let scope = Scope.principal(secret)
        for text in ["\(key)", "\(scope)", String(reflecting: key), String(reflecting: scope)] {
            #expect(!text.contains(secret))
        }
        #expect(!"\(StorageKey(scope: scope, key: key))".contains(secret))
    }

    @Test("A storage key can be written and read back")
    func roundTrip() {
        let key = self.storageKey(.unscoped)
        #expect(StorageKey(bytes: key.bytes) == key)
        #expect(StorageKey(hexadecimal: key.description) == key)
        #expect(key.description.count == 64)
        #expect(StorageKey(bytes: key.bytes.dropLast()) == nil)
        #expect(StorageKey(hexadecimal: String(key.description.dropLast())) == nil)
        #expect(StorageKey(hexadecimal: "zz" + key.description.dropFirst(2)) == nil)
    }
}

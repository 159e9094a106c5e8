import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Idemptx
import IdemptxHummingbird
import IdemptxTesting
import TestSupport
import Testing

@Suite("The middleware")
struct MiddlewareTests {
    private let ledger = Ledger()

    private func app(
        store: any IdempotencyStore = MemoryStore(),
        policy: IdempotencyPolicy = IdempotencyPolicy()
    ) -> some ApplicationProtocol {
        let ledger = self.ledger
        let router = Router()
        let charges = router.group("charges").add(
            middleware: IdempotencyMiddleware(store: store, policy: policy))
        charges.post { request, context -> EditedResponse<Charge> in
            let order = try await request.decode(as: Order.self, context: context)
            let id = ledger.add()
            return EditedResponse(
                status: .created, headers: [.location: "/charges/\(id)"],
                response: Charge(id: id, amount: order.amount))
        }
        charges.patch { _, _ in "\(ledger.add())" }
        charges.get { _, _ in "\(ledger.add())" }
        router.post("elsewhere") { _, _ in "\(ledger.add())" }
        return Application(router: router)
    }

    @Test("A retry gets the first response and runs nothing", arguments: everySetup)
    func replays(setup: TestingSetup) async throws {
        try await self.app().test(setup) { client in
            let first = try await client.execute(uri: "/charges", idempotencyKey: "k-1", body: .order(5))
            #expect(first.status == .created)
            #expect(first.idempotencyStatus == .new)
            #expect(!first.isReplay)
            #expect(first.headers[.idempotencyKey] == "k-1")

            let again = try await client.execute(uri: "/charges", idempotencyKey: "k-1", body: .order(5))
            #expect(again.idempotencyStatus == .hit)
            #expect(again.isReplay)
            #expect(again.repeatable == first.repeatable)
            #expect(again.headers[.location] == "/charges/1")
        }
        #expect(self.ledger.count == 1)
    }

    @Test("A quoted key and a bare one are the same, and echoed as they were sent")
    func quotedKey() async throws {
        try await self.app().test(.router) { client in
            let first = try await client.execute(uri: "/charges", idempotencyKey: "k-1", body: .order(5))
            let again = try await client.execute(uri: "/charges", idempotencyKey: #""k-1""#, body: .order(5))
            #expect(again.isReplay)
            #expect(again.body == first.body)
            #expect(again.headers[.idempotencyKey] == #""k-1""#)
        }
    }

    @Test("No key is refused", arguments: everySetup)
    func refusesMissingKey(setup: TestingSetup) async throws {
        try await self.app().test(setup) { client in
            let response = try await client.execute(uri: "/charges", method: .post, body: .order(5))
            #expect(response.status == .badRequest)
            #expect(try response.problemKind == .keyMissing)
        }
        #expect(self.ledger.count == 0)
    }

    @Test("A malformed key is refused", arguments: ["", "a b", #""open"#, "é", String(repeating: "k", count: 256)])
    func refusesInvalidKey(key: String) async throws {
        try await self.app().test(.live) { client in
            let response = try await client.execute(uri: "/charges", idempotencyKey: key, body: .order(5))
            #expect(response.status == .badRequest)
            #expect(try response.problemKind == .keyInvalid)
        }
        #expect(self.ledger.count == 0)
    }

    @Test("Two lines of keys are refused, even if they are equal")
    func refusesRepeatedKey() async throws {
        try await self.app().test(.live) { client in
            let response = try await client.execute(
                uri: "/charges", headers: [.idempotencyKey: "k-1"], idempotencyKey: "k-1", body: .order(5))
            #expect(try response.problemKind == .keyInvalid)
        }
        #expect(self.ledger.count == 0)
    }

    @Test("Another request with the key is refused", arguments: everySetup)
    func refusesReusedKey(setup: TestingSetup) async throws {
        try await self.app().test(setup) { client in
            _ = try await client.execute(uri: "/charges", idempotencyKey: "k-1", body: .order(5))
            let others = [
                try await client.execute(uri: "/charges", idempotencyKey: "k-1", body: .order(6)),
                try await client.execute(uri: "/charges?express=true", idempotencyKey: "k-1", body: .order(5)),
                try await client.execute(uri: "/charges", method: .patch, idempotencyKey: "k-1", body: .order(5)),
            ]
            for other in others {
                #expect(other.status == .unprocessableContent)
                #expect(try other.problemKind == .keyReused)
                #expect(other.headers[.idempotencyKey] == "k-1")
            }
        }
        #expect(self.ledger.count == 1)
    }

    @Test("JSON that says the same is the same request")
    func comparesStructure() async throws {
        try await self.app().test(.router) { client in
            let headers: HTTPFields = [.contentType: "application/json"]
            for body in [#"{"amount":5,"note":"a"}"#, #"{ "note": "\u0061", "amount": 5 }"#] {
                let response = try await client.execute(
                    uri: "/charges", headers: headers, idempotencyKey: "k-1", body: ByteBuffer(string: body))
                #expect(response.status == .created)
            }
            let other = try await client.execute(
                uri: "/charges", headers: headers, idempotencyKey: "k-1",
                body: ByteBuffer(string: #"{"amount":5.0,"note":"a"}"#))
            #expect(other.status == .unprocessableContent)
        }
        #expect(self.ledger.count == 1)
    }

    @Test("Methods that are idempotent by themselves, and routes outside of the group, pass untouched")
    func passes() async throws {
        try await self.app().test(.router) { client in
            for path in ["/charges", "/elsewhere"] {
                for _ in 0..<2 {
                    let response = try await client.execute(
                        uri: path, method: path == "/charges" ? .get : .post, idempotencyKey: "k-1")
                    #expect(response.idempotencyStatus == nil)
                    #expect(response.headers[.idempotencyKey] == nil)
                }
            }
        }
        #expect(self.ledger.count == 4)
    }

    @Test("A body that is too large runs nothing, announced or not", arguments: everySetup)
    func refusesLargeBody(setup: TestingSetup) async throws {
        let policy = IdempotencyPolicy { $0.maxRequestBody = 1000 }
        try await self.app(policy: policy).test(setup) { client in
            let body = ByteBuffer(repeating: UInt8(ascii: " "), count: 1001)
            let response = try await client.execute(uri: "/charges", idempotencyKey: "k-1", body: body)
            #expect(response.status == .contentTooLarge)
            #expect(try response.problemKind == .bodyTooLarge)
        }
        #expect(self.ledger.count == 0)
    }

    @Test("A large body reaches the handler whole while the layer only observes", arguments: everySetup)
    func observesLargeBody(setup: TestingSetup) async throws {
        let policy = IdempotencyPolicy {
            $0.mode = .observe
            $0.maxRequestBody = 10
        }
        try await self.app(policy: policy).test(setup) { client in
            let padding = String(repeating: " ", count: 300_000)
            let response = try await client.execute(
                uri: "/charges", idempotencyKey: "k-1", body: ByteBuffer(string: #"{"amount":\#(padding)5}"#))
            #expect(response.status == .created)
            #expect(response.text == #"{"id":1,"amount":5}"# || response.text == #"{"amount":5,"id":1}"#)
            #expect(response.headers[.idempotencyStatus] == nil)
        }
    }

    @Test("A store that cannot be used means 503, and nothing runs")
    func refusesWithoutStore() async throws {
        let store = FaultyStore(MemoryStore())
        store.breakDown(at: .claim)
        let policy = IdempotencyPolicy { $0.claimRetryTime = .zero }
        try await self.app(store: store, policy: policy).test(.live) { client in
            let response = try await client.execute(uri: "/charges", idempotencyKey: "k-1", body: .order(5))
            #expect(response.status == .serviceUnavailable)
            #expect(try response.problemKind == .storeUnavailable)
            #expect(response.headers[.retryAfter] != nil)
            store.heal()
            #expect(
                try await client.execute(uri: "/charges", idempotencyKey: "k-1", body: .order(5)).status == .created)
        }
        #expect(self.ledger.count == 1)
    }

    @Test("A store that cannot be used is bypassed if that is the rule, and the response is marked")
    func bypasses() async throws {
        let store = FaultyStore(MemoryStore())
        store.breakDown(at: .claim)
        let policy = IdempotencyPolicy {
            $0.claimRetryTime = .zero
            $0.onStoreFailure = .bypass
        }
        try await self.app(store: store, policy: policy).test(.live) { client in
            for _ in 0..<2 {
                let response = try await client.execute(uri: "/charges", idempotencyKey: "k-1", body: .order(5))
                #expect(response.status == .created)
                #expect(response.idempotencyStatus == .unstored)
            }
        }
        #expect(self.ledger.count == 2)
    }

    @Test("Keys are optional, other methods guarded, other headers kept and compared, as the policy says")
    func policy() async throws {
        let (version, note) = (try HTTPField.Name.named("X-Version"), try HTTPField.Name.named("X-Note"))
        let policy = IdempotencyPolicy {
            $0.required = false
            $0.methods = [.put]
            $0.droppedHeaders = [note]
            $0.fingerprint = FingerprintRecipe(headers: [version])
            $0.maxKeyLength = 3
            $0.problemTypeBase = "https://example.com/problems/"
        }
        let ledger = self.ledger
        let router = Router()
        router.add(
            middleware: IdempotencyMiddleware(
                store: MemoryStore(), policy: policy))
        router.put("/charges") { _, _ in
            Response(status: .ok, headers: [.setCookie: "a=\(ledger.add())", note: "b"])
        }
        router.post("/charges") { _, _ in "\(ledger.add())" }
        try await Application(router: router).test(.router) { client in
            for _ in 0..<2 {
                let post = try await client.execute(uri: "/charges", idempotencyKey: "k-1")
                #expect(post.idempotencyStatus == nil)
                let unnamed = try await client.execute(uri: "/charges", method: .put)
                #expect(unnamed.idempotencyStatus == nil)
            }
            #expect(ledger.count == 4)
            let first = try await client.execute(
                uri: "/charges", method: .put, headers: [version: "1"], idempotencyKey: "k-1")
            #expect(first.headers[note] == "b")
            let again = try await client.execute(
                uri: "/charges", method: .put, headers: [version: "1"], idempotencyKey: "k-1")
            #expect(again.headers[.setCookie] == "a=5")
            #expect(again.headers[note] == nil)
            let other = try await client.execute(
                uri: "/charges", method: .put, headers: [version: "2"], idempotencyKey: "k-1")
            #expect(try other.problem.type == "https://example.com/problems/key-reused")
            let long = try await client.execute(uri: "/charges", method: .put, idempotencyKey: "k-10")
            #expect(long.status == .badRequest)
        }
        #expect(ledger.count == 5)
    }

    @Test("A tenant does not get the response of another whose host differs; the port does not count")
    func hosts() async throws {
        try await self.app().test(.live) { client in
            let port = try #require(client.port)
            @Sendable func charge(_ host: String) async throws -> String {
                try await RawConnection.open(port: port) { connection in
                    try await connection.post("/charges", host: host, key: "k-1", body: #"{"amount":5}"#)
                    connection.endWriting()
                    return try await connection.readToEnd()
                }
            }
            #expect(try await charge("tenant-a.example.com").contains(#""id":1"#))
            let other = try await charge("tenant-b.example.com")
            #expect(other.hasPrefix("HTTP/1.1 422 ") && other.contains("key-reused"))
            #expect(!other.contains(#""id""#))
            let again = try await charge("tenant-a.example.com:8443")
            #expect(again.contains(#""id":1"#) && again.contains("Idempotent-Replayed: true"))
        }
        #expect(self.ledger.count == 1)
    }

    @Test("One route has a kill switch, too: its engine can be made, switched off and on again")
    func killSwitch() async throws {
        let (ledger, store) = (self.ledger, MemoryStore())
        let idempotency = Idempotency(store: store)
        let router = Router()
        router.post(
            "charges",
            use: idempotent(by: idempotency) { (_: Request, _: BasicRequestContext) -> String in "\(ledger.add())" })
        try await Application(router: router).test(.router) { client in
            for expected in ["1", "1"] {
                #expect(try await client.execute(uri: "/charges", idempotencyKey: "k-1").text == expected)
            }
            idempotency.policy.mode = .off
            for expected in ["2", "3"] {
                let unguarded = try await client.execute(uri: "/charges", idempotencyKey: "k-1")
                #expect(unguarded.text == expected && unguarded.idempotencyStatus == nil)
            }
            idempotency.policy.mode = .enforce
            #expect(try await client.execute(uri: "/charges", idempotencyKey: "k-1").text == "1")
        }
        #expect(ledger.count == 3)
    }

    @Test("A problem of a call inside of the handler is not replayed, nor does it free the key")
    func nestedProblem() async throws {
        let idempotency = Idempotency(store: MemoryStore(), policy: IdempotencyPolicy { $0.problemTypeBase = "urn:a:" })
        let gate = Gate()
        let running = Task { try await idempotency.run("charge", key: "inner") { _ in await gate.pass() } }
        try await eventually { gate.arrivals == 1 }
        let router = Router()
        router.post(
            "charges",
            use: idempotent(store: MemoryStore()) { (_, _: BasicRequestContext) in
                try await idempotency.run("charge", key: "inner") { _ in }
                return "done"
            })
        try await Application(router: router).test(.router) { client in
            let first = try await client.execute(uri: "/charges", idempotencyKey: "k-1")
            #expect(first.status == .conflict)
            #expect(try first.problem.type == "urn:a:request-in-progress")
            gate.open()
            try await running.value
            let again = try await client.execute(uri: "/charges", idempotencyKey: "k-1")
            #expect(try again.problemKind == .responseNotReplayable)
        }
    }

    @Test("A response that could not be stored is sent, and marked")
    func unstored() async throws {
        let store = FaultyStore(MemoryStore())
        store.breakDown(at: .complete)
        let policy = IdempotencyPolicy { $0.completionRetryTime = .zero }
        try await self.app(store: store, policy: policy).test(.router) { client in
            let response = try await client.execute(uri: "/charges", idempotencyKey: "k-1", body: .order(5))
            #expect(response.status == .created)
            #expect(response.idempotencyStatus == .unstored)
            let again = try await client.execute(uri: "/charges", idempotencyKey: "k-1", body: .order(5))
            // From the memory of this process, until the store takes it.
            #expect(again.isReplay)
        }
        #expect(self.ledger.count == 1)
    }
}

import Foundation
import HTTPTypes
import Idemptx
import IdemptxTesting
import TestSupport
import Testing

@Suite("A request on its way through the driver")
struct HTTPStepsTests {
    private let created = TestResponse(
        head: HTTPResponse(status: .created, headerFields: [.location: "/charges/1", .contentType: "text/plain"]),
        body: Array("charged".utf8))

    @Test("runs once, and is replayed byte by byte")
    func replays() async throws {
        let service = GuardedService(Workbench().idempotency)
        let first = try await service.send(key: "k-1", body: "5") { _ in self.created }
        #expect(first.head.headerFields[.idempotencyStatus] == "new")
        #expect(first.head.headerFields[.idempotentReplayed] == nil)

        let again = try await service.send(key: "k-1", body: "5") { _ in
            Issue.record("The operation ran again")
            return self.created
        }
        #expect(again.head.status == .created)
        #expect(again.body == self.created.body)
        #expect(again.head.headerFields[.location] == "/charges/1")
        #expect(again.head.headerFields[.idempotencyStatus] == "hit")
        #expect(again.head.headerFields[.idempotentReplayed] == "true")
        let signature = again.head.headerFields[.idempotencySignature]
        #expect(signature?.count == 64)
        #expect(signature == first.head.headerFields[.idempotencySignature])
    }

    @Test("passes untouched if its method is not guarded, or a key is optional")
    func passes() async throws {
        let bench = Workbench { $0.required = false }
        let service = GuardedService(bench.idempotency)
        for (method, key) in [(HTTPRequest.Method.get, "k-1"), (.put, "k-1"), (.delete, "k-1"), (.post, nil)] {
            let response = try await service.send(method, key: key)
            #expect(response.head.headerFields.isEmpty)
        }
        #expect(bench.store.count(of: .claim) == 0)
    }

    @Test("frees its key with a status that says that nothing was done", arguments: [307, 308, 401, 407, 425, 429])
    func releases(status: Int) async throws {
        let service = GuardedService(Workbench().idempotency)
        let refusal = TestResponse(head: HTTPResponse(status: .init(code: status)))
        let first = try await service.send(key: "k-1") { _ in refusal }
        #expect(first.head.status.code == status)
        #expect(try await service.send(key: "k-1") { _ in self.created }.head.status == .created)
    }

    @Test(
        "has an unknown outcome with a status that a gateway gives after the operation has run, too",
        arguments: [408, 503])
    func unknown(status: Int) async throws {
        let gateway = TestResponse(head: HTTPResponse(status: .init(code: status)))
        let refusing = GuardedService(Workbench { $0.onAbandoned = .refuse }.idempotency)
        #expect(try await refusing.send(key: "k-1") { _ in gateway }.head.status.code == status)
        #expect(try Problem(await refusing.send(key: "k-1")) == Problem("outcome-unknown", 409))

        let rerunning = GuardedService(Workbench().idempotency)
        _ = try await rerunning.send(key: "k-1") { _ in gateway }
        // Not attempt 1 again: the first may still be running behind the gateway.
        _ = try await rerunning.send(key: "k-1") { context in
            #expect(context?.attempt == 2)
            return self.created
        }
    }

    @Test("ends as the dispositions of statuses say, whatever else the policy says")
    func statusLists() async throws {
        let bench = Workbench {
            $0.dispositions = [503: .keep, 404: .release, 200: .tombstone, 500: .unknown]
            $0.onAbandoned = .refuse
        }
        let service = GuardedService(bench.idempotency)
        for (status, expected) in [503: 503, 404: 201, 200: 409, 500: 409] {
            _ = try await service.send(key: "k-\(status)") { _ in
                TestResponse(head: HTTPResponse(status: .init(code: status)))
            }
            let again = try await service.send(key: "k-\(status)") { _ in self.created }
            #expect(again.head.status.code == expected, "\(status)")
        }
    }

    @Test("keeps every other status", arguments: [200, 204, 301, 400, 402, 404, 409, 422, 500, 502, 504])
    func keeps(status: Int) async throws {
        let service = GuardedService(Workbench().idempotency)
        _ = try await service.send(key: "k-1") { _ in TestResponse(head: HTTPResponse(status: .init(code: status))) }
        let again = try await service.send(key: "k-1") { _ in self.created }
        #expect(again.head.status.code == status)
        #expect(again.head.headerFields[.idempotentReplayed] == "true")
    }

    @Test("follows a rule of the user's own")
    func ownPolicy() async throws {
        let policy = ReplayPolicy { $0.status == .created ? .tombstone : .release }
        let service = GuardedService(Workbench { $0.replay = policy }.idempotency)
        #expect(try await service.send(key: "k-1").head.status == .ok)
        #expect(try await service.send(key: "k-1") { _ in self.created }.head.status == .created)
        let again = try await service.send(key: "k-1")
        #expect(
            try Problem(again) == Problem("response-not-replayable", 409, originalStatus: 201, location: "/charges/1"))
    }

    @Test("is not stored if it may not be, where that is honoured", arguments: [true, false])
    func noStore(honors: Bool) async throws {
        let service = GuardedService(Workbench { $0.honorsNoStore = honors }.idempotency)
        let secret = TestResponse(
            head: HTTPResponse(status: .ok, headerFields: [.cacheControl: "private, No-Store"]), body: [1])
        _ = try await service.send(key: "k-1") { _ in secret }
        #expect(try await service.send(key: "k-1").head.status == (honors ? .conflict : .ok))
    }

    @Test("is marked if its outcome could not be stored")
    func unstored() async throws {
        let bench = Workbench { $0.completionRetryTime = .zero }
        bench.store.breakDown(at: .complete)
        let response = try await GuardedService(bench.idempotency).send(key: "k-1") { _ in self.created }
        #expect(response.head.status == .created)
        #expect(response.head.headerFields[.idempotencyStatus] == "unstored")
    }

    @Test("shows nothing of the layer while that only observes")
    func observed() async throws {
        let bench = Workbench {
            $0.mode = .observe
            $0.maxRequestBody = 10
        }
        let service = GuardedService(bench.idempotency)
        let requests: [(key: String?, body: String)] = [
            ("k-1", ""), ("k-1", ""), ("k-1", "other"), (nil, ""), ("", ""), ("k-2", "more than ten bytes"),
        ]
        for request in requests {
            let response = try await service.send(key: request.key, body: request.body) { _ in
                bench.ledger.add()
                return self.created
            }
            #expect(response.head == self.created.head)
        }
        #expect(bench.ledger.count == requests.count)
    }

    // MARK: Problems

    private struct Problem: Equatable, Decodable {
        let type: String
        let status: Int
        let reason: String?
        let originalStatus: Int?
        let location: String?

        init(
            _ suffix: String,
            _ status: Int,
            reason: String? = nil,
            originalStatus: Int? = nil,
            location: String? = nil
        ) {
            self.type = "urn:idemptx:problem:" + suffix
            self.status = status
            self.reason = reason
            self.originalStatus = originalStatus
            self.location = location
        }

        init(_ response: TestResponse) throws {
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            self = try decoder.decode(Problem.self, from: Data(response.body))
            #expect(response.head.status.code == self.status)
            #expect(response.head.headerFields[.contentType] == "application/problem+json")
            #expect(response.head.headerFields[.cacheControl] == "no-store")
            #expect(response.head.headerFields[.idempotentReplayed] == nil)
            #expect(response.head.headerFields[.idempotencyStatus] == nil)
        }
    }

    @Test("gets a problem of its own for everything that is wrong with it")
    func problems() async throws {
        let bench = Workbench {
            $0.maxRequestBody = 10
            $0.claimRetryTime = .zero
        }
        let service = GuardedService(bench.idempotency)
        let gate = Gate()
        let running = Task {
            try await service.send(key: "slow") { _ in
                await gate.pass()
                return self.created
            }
        }
        try await eventually { gate.arrivals == 1 }
        _ = try await service.send(key: "k-1", body: "5")

        #expect(try Problem(await service.send(key: nil)) == Problem("key-missing", 400))
        #expect(try Problem(await service.send(key: "")) == Problem("key-invalid", 400, reason: "empty"))
        #expect(try Problem(await service.send(key: "a b")) == Problem("key-invalid", 400, reason: "invalid_character"))
        #expect(
            try Problem(await service.send(key: String(repeating: "k", count: 256)))
                == Problem("key-invalid", 400, reason: "too_long"))
        #expect(try Problem(await service.send(key: "\"k")) == Problem("key-invalid", 400, reason: "malformed"))
        #expect(try Problem(await service.send(key: "k-1", body: "6")) == Problem("key-reused", 422))
        #expect(try Problem(await service.send(.patch, key: "k-1", body: "5")) == Problem("key-reused", 422))
        #expect(try Problem(await service.send(key: "k-2", body: "more than ten")) == Problem("body-too-large", 413))

        let inProgress = try await service.send(key: "slow")
        #expect(try Problem(inProgress) == Problem("request-in-progress", 409))
        #expect(["3", "4", "5"].contains(inProgress.head.headerFields[.retryAfter]))
        #expect(inProgress.head.headerFields[.idempotencyKey] == "slow")

        bench.store.breakDown(at: .claim)
        let unavailable = try await service.send(key: "k-3")
        #expect(try Problem(unavailable) == Problem("store-unavailable", 503))
        #expect(unavailable.head.headerFields[.retryAfter] != nil)
        gate.open()
        _ = try await running.value
    }

    @Test("is refused if its body is not whole, or could be a part of one")
    func bodies() async throws {
        let bench = Workbench()
        let service = GuardedService(bench.idempotency)
        #expect(
            try Problem(await service.send(key: "k-1", body: "1", headers: [.contentLength: "2"]))
                == Problem("body-incomplete", 400))
        #expect(
            try Problem(await service.send(key: "k-1", body: "1", headers: [.contentLength: ""]))
                == Problem("length-required", 411))
        #expect(bench.store.count(of: .claim) == 0)
        for headers in [
            [.transferEncoding: "chunked", .contentLength: ""], [.contentEncoding: "gzip", .contentLength: "9"],
        ] as [HTTPFields] {
            #expect(try await service.send(key: "k-1", body: "1", headers: headers).head.status == .ok)
        }
        #expect(try await service.send(key: "k-2", body: "", headers: [.contentLength: ""]).head.status == .ok)
    }

    @Test("runs once if it is guarded twice")
    func guardedTwice() async throws {
        let bench = Workbench()
        let (outer, inner) = (GuardedService(bench.idempotency), GuardedService(Idempotency(store: bench.store)))
        for status in ["new", "hit"] {
            let response = try await outer.send(key: "k-1") { context in
                #expect(IdempotencyContext.current === context)
                let response = try await inner.send(key: "k-1") { _ in
                    bench.ledger.add()
                    return self.created
                }
                #expect(response.head == self.created.head)
                return response
            }
            #expect(response.head.headerFields[.idempotencyStatus] == status)
        }
        #expect(bench.ledger.count == 1)
    }

    @Test("gets problems with the type that the policy says")
    func typeBase() async throws {
        let service = GuardedService(Workbench { $0.problemTypeBase = "https://example.com/problems/" }.idempotency)
        let response = try await service.send(key: nil)
        #expect(String(decoding: response.body, as: UTF8.self).contains(#""https://example.com/problems/key-missing""#))
    }

    @Test("is refused where it cannot be told whose it is, and observed there without a change")
    func unknownScope() async throws {
        let bench = Workbench()
        let service = GuardedService(bench.idempotency) { _ in throw ScopeProblem.onlyCookie }
        #expect(try Problem(await service.send(key: "k-1")) == Problem("scope-unknown", 500, reason: "only_cookie"))
        #expect(bench.store.count(of: .claim) == 0)
        bench.idempotency.policy.mode = .observe
        #expect(try await service.send(key: "k-1") { _ in self.created }.head == self.created.head)
    }

    @Test("is refused with 503 if the bodies of the process take too much, and runs nothing")
    func bodyBudget() async throws {
        let bench = Workbench { $0.bodyBudget = 0 }
        let service = GuardedService(bench.idempotency)
        let refused = try await service.send(key: "k-1", body: "5")
        #expect(try Problem(refused) == Problem("body-budget-exhausted", 503))
        #expect(refused.head.headerFields[.retryAfter] != nil)
        #expect(bench.store.count(of: .claim) == 0)
        bench.idempotency.policy.bodyBudget = 256 << 20
        #expect(try await service.send(key: "k-1", body: "5").head.status == .ok)
    }
}

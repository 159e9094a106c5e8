import NIOHTTP1
import TestSupport
import Testing

/// Presses the buttons of the page in a browser, and reads what a visitor reads.
@Suite("A visitor of the demo's page", .serialized)
struct DemoPageBrowserTests {
    private static let buttons = [
        "New order", "Pay", "Retry same key", "Double click ×10", "Change the amount", "Lose the response",
    ]

    private let directory: CommandProcess.Directory

    init() throws {
        self.directory = try CommandProcess.Directory()
    }

    private func visit(
        _ arguments: [String] = [],
        _ body: (DemoVisitor, BrowserPage) async throws -> Void
    ) async throws {
        let demo = try await Demo.start(arguments, in: self.directory)
        try await Chromium.visit("http://127.0.0.1:\(demo.port)/") { page in
            let visitor = DemoVisitor(page: page, demo: demo)
            try await eventually("The page has an order") { try await !visitor.key.isEmpty }
            try await body(visitor, page)
            #expect(page.complaints == [])
        }
    }

    @Test("is charged once, and gets the response again")
    func payAndRetry() async throws {
        try await self.visit { visitor, page in
            #expect(try await visitor.charges == [])
            try await page.click("Pay")
            let paid = try await visitor.responses(1)[0]
            #expect(paid.outcome == "201 ran")
            #expect(paid.facts == ["X-Idempotency-Status: new", "charge 1, attempt 1"])
            #expect(try await visitor.charges == ["1\t\(visitor.key)\t1\t19.99 EUR"])

            try await page.click("Retry same key")
            let again = try await visitor.responses(2)[0]
            #expect(again.outcome == "201 replayed")
            #expect(
                again.facts == ["X-Idempotency-Status: hit", "Idempotent-Replayed: true", "charge 1, attempt 1"])
            #expect(try await [paid.key, again.key] == [visitor.key, visitor.key])
            #expect(try await visitor.charges == ["1\t\(visitor.key)\t1\t19.99 EUR"])
            #expect(try await visitor.tally == [2, 1, 0, 1])
        }
    }

    @Test(
        "is charged once for ten clicks",
        arguments: [([], ["409 refused", "201 replayed"]), (["--wait-timeout", "60s"], ["201 replayed"])])
    func storm(arguments: [String], others: [String]) async throws {
        try await self.visit(arguments) { visitor, page in
            try await page.click("Pay")
            let paid = try await visitor.responses(1)[0]
            try await page.click("Double click ×10")
            let clicks = try await visitor.responses(11).dropLast()
            #expect(clicks.map(\.action) == (1...10).reversed().map { "Click \($0) of 10" })
            #expect(clicks.filter { $0.outcome == "201 ran" }.count == 1)
            #expect(clicks.filter { others.contains($0.outcome) }.count == 9)
            #expect(try await Set(clicks.map(\.key)) == [visitor.key])
            #expect(try await visitor.key != paid.key)
            #expect(try await Set(visitor.demo.ledger().map(\.reference)) == [paid.key, visitor.key])
            #expect(try await visitor.charges.count == 2)
            #expect(try await visitor.tally.last == 1)
        }
    }

    @Test("cannot use a key for another amount")
    func changeAmount() async throws {
        try await self.visit { visitor, page in
            try await page.click("Pay")
            _ = try await visitor.responses(1)
            try await page.click("Change the amount")
            let changed = try await visitor.responses(2)[0]
            #expect(changed.outcome == "422 refused")
            #expect(changed.facts == ["The idempotency key was used with a different request"])
            #expect(try await visitor.charges == ["1\t\(visitor.key)\t1\t19.99 EUR"])
            #expect(try await visitor.tally == [2, 0, 1, 1])

            // An order that has not been sent is paid first, so that there is something to differ from.
            try await page.click("New order")
            #expect(try await visitor.tally == [0, 0, 0, 0])
            #expect(try await visitor.key != changed.key)
            try await page.click("Change the amount")
            #expect(try await visitor.responses(4).prefix(2).map(\.outcome) == ["422 refused", "201 ran"])
            #expect(
                try await visitor.charges
                    == ["2\t\(visitor.key)\t1\t19.99 EUR", "1\t\(changed.key)\t1\t19.99 EUR"])
        }
    }

    @Test("gets a lost response by a retry")
    func loseResponse() async throws {
        // The retry waits for the first request, which runs on without its browser.
        try await self.visit(["--wait-timeout", "60s"]) { visitor, page in
            try await page.click("Lose the response")
            let lost = try await visitor.responses(1)[0]
            #expect(lost.outcome == "no response")
            #expect(lost.facts == ["The browser has hung up. Now retry."])
            #expect(try await visitor.charges.count == 1)

            try await page.click("Retry same key")
            let again = try await visitor.responses(2)[0]
            #expect(again.outcome == "201 replayed")
            #expect(again.key == lost.key)
            #expect(try await visitor.charges.count == 1)
            #expect(try await visitor.tally == [2, 1, 0, 1])
        }
    }

    @Test("can do it all with the keyboard, and sees where it is")
    func keyboard() async throws {
        try await self.visit { visitor, page in
            #expect(try await page.texts("button") == Self.buttons)
            for button in Self.buttons {
                let (key, tally) = try await (visitor.key, visitor.tally)
                try await page.press(.tab)
                #expect(try await page.texts(":focus") == [button])
                #expect(try await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid")
                try await page.press(.enter)
                try await eventually("\(button) does something") {
                    try await (visitor.key, visitor.tally) != (key, tally)
                }
            }
        }
    }

    @Test("on a phone does not have to scroll sideways, whatever the ledger holds")
    func phone() async throws {
        try await self.visit { visitor, page in
            try await page.shrink(toWidth: 360)
            _ = try await visitor.demo.charge(key: "k-1", currency: String(repeating: "long", count: 50))
            for button in Self.buttons { try await page.click(button) }
            _ = try await visitor.responses(14)
            try await eventually("The ledger is shown") {
                try await page.texts("#charges").contains { $0.contains("longlong") }
            }
            #expect(try await page.evaluate("innerWidth") == 360)
            #expect(
                try await page.evaluate(
                    "document.documentElement.scrollWidth <= document.documentElement.clientWidth"))
        }
    }

    @Test("is told that the demo is gone, and gets the response from the next one")
    func restart() async throws {
        let first = try await Demo.start(in: self.directory)
        try await Chromium.visit("http://127.0.0.1:\(first.port)/") { page in
            try await eventually("The page has an order") { try await page.texts("#key") != [""] }
            let before = DemoVisitor(page: page, demo: first)
            try await page.click("Pay")
            _ = try await before.responses(1)
            try await first.process.killHard()
            try await eventually("The page knows it") {
                try await page.texts("#ledger-note") == ["The demo does not respond. Is it still running?"]
            }
            try await page.click("Retry same key")
            #expect(try await before.responses(2)[0].outcome == "no response")

            let second = try await Demo.start(["--port", "\(first.port)"], in: self.directory)
            let after = DemoVisitor(page: page, demo: second)
            try await page.click("Retry same key")
            #expect(try await after.responses(3)[0].outcome == "201 replayed")
            #expect(try await after.charges == ["1\t\(after.key)\t1\t19.99 EUR"])
        }
    }

    @Test("sees text of the server as text")
    func markup() async throws {
        try await self.visit { visitor, page in
            let markup = "<img src=/charges onerror=alert(1)>"
            _ = try await visitor.demo.charge(key: "k-1", currency: markup)
            try await eventually("The ledger is shown") {
                try await page.texts("#charges td").last == "5.00 \(markup)"
            }
        }
    }
}

import TestSupport

/// Who has the demo's page open, and reads it.
struct DemoVisitor {
    /// An entry of the log.
    struct Response: Decodable {
        let outcome: String
        let action: String
        let key: String
        let facts: [String]
    }

    let page: BrowserPage
    let demo: Demo

    /// The key of the order that is shown.
    var key: String {
        get async throws { try await self.page.texts("#key")[0] }
    }

    /// What the page says of the order: requests, replayed, refused, charged.
    var tally: [Int] {
        get async throws { try await self.page.texts("#tally dd").compactMap(Int.init) }
    }

    /// The ledger as it is shown, the newest first, once the page has caught up with the server.
    var charges: [String] {
        get async throws {
            let ledger = try await self.demo.ledger().reversed().map { "\($0.id)" }
            try await eventually("The page shows the ledger") {
                try await self.page.texts("#charges td:first-child") == ledger
            }
            return try await self.page.texts("#charges tr")
        }
    }

    /// The log, the newest first, once it has so many entries and each has its end.
    func responses(_ count: Int) async throws -> [Response] {
        var responses: [Response] = []
        try await eventually("\(count) responses") {
            responses = try await self.page.evaluate(
                """
                [...document.querySelectorAll('#responses > li')].map((entry) => ({
                  outcome: entry.querySelector('.outcome').innerText,
                  action: entry.querySelector('.action').innerText,
                  key: entry.querySelector('.key').innerText,
                  facts: [...entry.querySelectorAll('li')].map((fact) => fact.innerText),
                }))
                """)
            return responses.count == count && !responses.contains { $0.outcome == "sent …" }
        }
        return responses
    }
}

/// What a server sent back.
struct Response: Equatable {
    let status: Int
    let headers: [String]
    let body: String

    func header(_ name: String) -> String? {
        self.headers.first { $0.lowercased().hasPrefix(name.lowercased() + ": ") }?
            .split(separator: ": ", maxSplits: 1).last.map(String.init)
    }

    /// Everything that a replay has to repeat.
    var repeatable: Response {
        let exchange = ["date", "server", "content-length", "x-idempotency-status", "idempotent-replayed"]
        let kept = self.headers.filter { header in
            !exchange.contains { header.lowercased().hasPrefix($0 + ":") }
        }
        return Response(status: self.status, headers: kept, body: self.body)
    }
}

import HTTPTypes

/// How the answer of an operation is turned into what is stored of it.
struct ResponseRecording: Sendable {
    let context: IdempotencyContext
    let policy: IdempotencyPolicy

    /// What becomes of the claim: the handler decides, else the policy.
    func ending(_ head: HTTPResponse, body: Execution.CapturedBody) -> Ending {
        Ending(self.disposition(of: head), of: self.outcome(head, body: body))
    }

    /// What becomes of the claim if the answer broke off half-way.
    var endingOfBrokenAnswer: Ending {
        self.context.disposition == .release ? .release : .complete(.tombstone(Tombstone(status: 502)))
    }

    private func outcome(_ head: HTTPResponse, body: Execution.CapturedBody) -> Outcome {
        guard case .bytes(let bytes) = body, bytes.count <= self.policy.maxResponseBody else {
            return .tombstone(Tombstone(status: head.status.code, location: head.headerFields[.location]))
        }
        let fields = self.policy.headerFilter.kept(head.headerFields)
        return .response(StoredResponse(status: head.status, headerFields: fields, body: bytes))
    }

    private func disposition(of head: HTTPResponse) -> ReplayPolicy.Disposition {
        if let chosen = self.context.disposition { return chosen }
        let disposition = self.policy.replay.disposition(of: head)
        guard disposition == .keep, self.policy.honorsNoStore, Self.forbidsStoring(head) else { return disposition }
        return .tombstone
    }

    /// RFC 9111, section 5.2.2.5.
    private static func forbidsStoring(_ head: HTTPResponse) -> Bool {
        head.headerFields[values: .cacheControl].flatMap { $0.split(separator: ",") }.contains { directive in
            String(Substring(directive.utf8.trimmingOptionalWhitespace())).lowercased() == "no-store"
        }
    }
}

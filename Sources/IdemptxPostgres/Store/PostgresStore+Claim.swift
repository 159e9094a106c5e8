public import Idemptx

extension PostgresStore {
    /// Asks to run an operation.
    public func claim(_ request: ClaimRequest) async throws -> ClaimResult<Claim> {
        if let timeout = request.timeout, timeout < .zero { throw StoreError.tooLate }
        let timeout = min(request.timeout ?? self.configuration.callTimeout, self.configuration.callTimeout)
        let deadline = ContinuousClock.now + timeout
        // A clock that was set makes a claim late that is not; the reply tells the time anew.
        for _ in 0..<3 {
            let notAfter = try await self.notAfter(deadline)
            let waits = self.listener.hears(request.key)
            let sentAt = ContinuousClock.now
            let rows = try await self.run(by: deadline) {
                self.statements.claim(request, notAfter: notAfter, lockWait: $0, waits: waits)
            }
            var row = try RowReader(rows.first)
            let (result, now) = (try row.text(), try row.timestamp())
            self.clock.note(now, sentAt: sentAt)
            if result != "late" { return try self.result(result, &row).map { Claim(granting: request, $0) } }
            if deadline <= .now { break }
        }
        throw StoreError.tooLate
    }

    private func result(_ name: String, _ row: inout RowReader) throws(StoreError) -> ClaimResult<ClaimGrant> {
        let (attempt, created) = (try row.optionalInteger(), try row.optionalTimestamp())
        let (unknownSince, leaseLeft) = (try row.optionalTimestamp(), try row.optionalInteger())
        switch name {
        case "granted":
            guard let attempt, let created else { throw .unexpectedRow }
            let unknownAttempt = unknownSince.map {
                UnknownAttempt(attempt: Int(attempt) - 1, created: created, leaseEnd: $0)
            }
            return .granted(ClaimGrant(attempt: Int(attempt), unknownAttempt: unknownAttempt))
        case "completed":
            guard let outcome = try row.outcome() else { throw .unexpectedRow }
            return .completed(outcome)
        case "in progress":
            guard let leaseLeft else { throw .unexpectedRow }
            return .inProgress(remainingLease: .milliseconds(leaseLeft))
        case "mismatch": return .mismatch
        case "unknown": return .unknown
        default: throw .unexpectedRow
        }
    }

    /// The deadline of a claim on the server's clock, which is asked if it is not known.
    ///
    /// A claim is refused from then on.
    private func notAfter(_ deadline: ContinuousClock.Instant) async throws -> Timestamp {
        if let time = self.clock.time(at: deadline) { return time }
        let sentAt = ContinuousClock.now
        var row = try RowReader(try await self.run(self.statements.clock, by: deadline).first)
        self.clock.note(try row.timestamp(), sentAt: sentAt)
        guard let time = self.clock.time(at: deadline) else { throw StoreError.unexpectedRow }
        return time
    }
}

extension StoreError {
    static let tooLate = StoreError(
        .unavailable, "PostgreSQL got to a claim after its caller had given up.")
}

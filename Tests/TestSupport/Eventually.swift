/// Waits until something is true, asking every few milliseconds.
///
/// For what happens in another task or process, without a moment that a test could wait for.
///
/// - Parameters:
///   - what: What is waited for, to be named if it does not happen.
///   - limit: How long to ask; generous, since it costs nothing unless a test fails.
///   - file: Where it is waited for.
///   - line: Where it is waited for.
///   - condition: The question. What it throws counts as no.
/// - Throws: ``NeverHappened`` if the time is over.
package func eventually(
    _ what: String = "The condition",
    within limit: Duration = .seconds(120),
    file: String = #fileID,
    line: Int = #line,
    _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now.advanced(by: limit)
    var failure: (any Error)?
    while ContinuousClock.now < deadline {
        do {
            if try await condition() { return }
        } catch {
            failure = error
        }
        try await Task.sleep(for: .milliseconds(2))
    }
    throw NeverHappened(what: what, limit: limit, place: "\(file):\(line)", failure: failure)
}

/// What was waited for did not happen.
package struct NeverHappened: Error, CustomStringConvertible {
    let what: String
    let limit: Duration
    let place: String
    let failure: (any Error)?

    /// What, where, and what was thrown last.
    package var description: String {
        "\(self.what) did not come true within \(self.limit), at \(self.place). \(self.failure.map { "\($0)" } ?? "")"
    }
}

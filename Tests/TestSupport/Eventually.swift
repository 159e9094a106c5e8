package import Testing

/// Waits until `condition` holds, and records an issue if it does not within a generous time.
///
/// For what happens in another task or process, without a moment that a test could wait for.
package func eventually(
    _ comment: Comment? = nil,
    within limit: Duration = .seconds(120),
    sourceLocation: SourceLocation = #_sourceLocation,
    _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now.advanced(by: limit)
    while try await !condition() {
        guard ContinuousClock.now < deadline else {
            Issue.record(comment ?? "The condition did not come true", sourceLocation: sourceLocation)
            return
        }
        try await Task.sleep(for: .milliseconds(2))
    }
}

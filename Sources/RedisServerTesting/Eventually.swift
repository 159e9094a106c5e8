/// Waits until something is true, asking every few milliseconds.
///
/// - Parameters:
///   - what: What is waited for, to be named if it does not happen.
///   - timeout: How long to ask.
///   - condition: The question. What it throws counts as no.
/// - Throws: ``ServerFailure`` if the time is over.
package func eventually(
    _ what: String, within timeout: Duration = .seconds(20), _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + timeout
    var failure: (any Error)?
    while ContinuousClock.now < deadline {
        do {
            if try await condition() { return }
        } catch {
            failure = error
        }
        try await Task.sleep(for: .milliseconds(5))
    }
    throw ServerFailure("It did not happen within \(timeout): \(what). \(failure.map { "\($0)" } ?? "")")
}

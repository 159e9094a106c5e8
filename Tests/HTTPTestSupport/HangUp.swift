package import TestSupport

/// How a client hangs up.
package enum HangUp: CaseIterable, Sendable {
    /// It sends nothing more, and may read on.
    case end
    case reset

    package func say(_ connection: RawConnection) async throws {
        switch self {
        case .end: connection.endWriting()
        case .reset: try await connection.reset()
        }
    }
}

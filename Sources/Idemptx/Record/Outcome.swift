import HTTPTypes

/// How an operation ended.
public enum Outcome: Hashable, Sendable {
    /// The response is kept and can be replayed.
    case response(StoredResponse)
    /// The operation is done; its response is not kept.
    case tombstone(Tombstone)
}

extension Outcome {
    /// What is left of the outcome if its response cannot be kept.
    var tombstone: Tombstone {
        switch self {
        case .response(let response):
            Tombstone(status: response.status.code, location: response.headerFields[.location])
        case .tombstone(let tombstone): tombstone
        }
    }
}

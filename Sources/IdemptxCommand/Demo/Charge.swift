import Hummingbird

/// What the ledger holds.
struct Charge: ResponseCodable, Equatable {
    let id: Int64
    let amount: Int
    let currency: String
    let reference: String?
    /// The number of the attempt that wrote the entry: 2 or more means that an earlier one was abandoned.
    let attempt: Int
}

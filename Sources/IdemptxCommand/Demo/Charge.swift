import Hummingbird

/// What the ledger holds.
struct Charge: ResponseCodable, Equatable {
    let id: Int64
    let amount: Int
    let currency: String
    let reference: String?
    /// The number of the attempt that wrote the entry: 2 or more means that the outcome of an earlier one was unknown.
    let attempt: Int
}

import Hummingbird

/// What a client asks for.
struct ChargeOrder: Codable {
    /// In the smallest unit of the currency.
    let amount: Int
    let currency: String?
    /// The client's own name for what is paid.
    let reference: String?
}

/// What the ledger holds.
struct Charge: ResponseCodable, Equatable {
    let id: Int64
    let amount: Int
    let currency: String
    let reference: String?
    /// The number of the attempt that wrote the entry: 2 or more means that an earlier one was abandoned.
    let attempt: Int
}

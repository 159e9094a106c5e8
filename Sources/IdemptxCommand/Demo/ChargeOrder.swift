/// What a client asks for.
struct ChargeOrder: Codable {
    /// In the smallest unit of the currency.
    let amount: Int
    let currency: String?
    /// The client's own name for what is paid.
    let reference: String?
}

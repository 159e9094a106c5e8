/// One instrument: a series of samples in time.
protocol PrometheusSeries: AnyObject, Sendable {
    /// As Prometheus calls it.
    static var type: String { get }

    /// The present values.
    var samples: [PrometheusSample] { get }
}

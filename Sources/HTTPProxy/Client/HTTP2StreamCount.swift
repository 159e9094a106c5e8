/// How many streams of a connection of HTTP/2 are open.
final class HTTP2StreamCount {
    private let limit: Int
    private var open = 0

    init(limit: Int) {
        self.limit = limit
    }

    /// - Returns: Whether there may be so many.
    func add() -> Bool {
        self.open += 1
        return self.open <= self.limit
    }

    func remove() { self.open -= 1 }
}

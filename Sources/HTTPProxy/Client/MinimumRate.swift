import NIOCore

/// How fast a client has to send: so many bytes in each window of time.
///
/// What was sent before the window earns nothing: time is not for sale.
struct MinimumRate {
    private struct Slice {
        var duration: TimeAmount
        var size: Int
    }

    private let window: TimeAmount
    private let minimumSize: Int
    /// Slices of time in which the client was waited for, the latest last; they are a sixteenth of the window at least.
    private var slices: [Slice] = []
    private var duration = TimeAmount.zero
    private var size = 0

    /// - Parameters:
    ///   - bytesPerSecond: The rate.
    ///   - window: Over how much time it is measured.
    init(bytesPerSecond: Int, window: TimeAmount) {
        self.window = window
        self.minimumSize = Int(clamping: Int128(bytesPerSecond) * Int128(window.nanoseconds) / 1_000_000_000)
    }

    /// Bytes have come in a time in which they were waited for.
    ///
    /// - Returns: Whether they come fast enough.
    mutating func add(size: Int, over duration: TimeAmount) -> Bool {
        self.duration = self.duration + duration
        self.size += size
        if let last = self.slices.indices.last, self.slices[last].duration * 16 < self.window {
            self.slices[last].duration = self.slices[last].duration + duration
            self.slices[last].size += size
        } else {
            self.slices.append(Slice(duration: duration, size: size))
        }
        while let first = self.slices.first, self.duration - first.duration >= self.window {
            self.duration = self.duration - first.duration
            self.size -= first.size
            self.slices.removeFirst()
        }
        return self.duration < self.window || self.size >= self.minimumSize
    }
}

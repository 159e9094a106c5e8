/// A number of bytes, such as `64KiB`.
struct ByteSize: SettingWrapper {
    static let expectation = "a size, such as 512B, 64KiB, 1MiB or 2GiB"

    let content: Int

    /// Reads a whole number and its unit.
    init?(setting text: String) {
        let digits = text.prefix(while: \.isNumber)
        guard let count = Int(digits), let unit = Self.bytesPerUnit[String(text.dropFirst(digits.count))] else {
            return nil
        }
        let (bytes, overflow) = count.multipliedReportingOverflow(by: unit)
        guard !overflow else { return nil }
        self.content = bytes
    }

    init(_ bytes: Int) {
        self.content = bytes
    }

    /// In the largest unit that needs no fraction.
    var shown: FileValue {
        let unit = Self.bytesPerUnit.filter { self.content.isMultiple(of: $0.value) }.max { $0.value < $1.value }
        return .text(
            unit.map { self.content == 0 ? "0B" : "\(self.content / $0.value)\($0.key)" } ?? "\(self.content)B")
    }

    private static let bytesPerUnit = ["B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30]
}

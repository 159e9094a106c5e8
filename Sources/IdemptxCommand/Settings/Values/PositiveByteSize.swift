/// A number of bytes, at least one.
struct PositiveByteSize: SettingValue {
    static let expectation = "a size above zero, such as 512B, 64KiB, 1MiB or 2GiB"

    let bytes: Int

    init?(setting text: String) {
        guard let size = ByteSize(setting: text), size.bytes > 0 else { return nil }
        self.bytes = size.bytes
    }

    init(_ bytes: Int) {
        self.bytes = bytes
    }

    var shown: FileValue { ByteSize(self.bytes).shown }
}

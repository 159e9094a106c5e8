/// A number of bytes, at least one.
struct PositiveByteSize: SettingWrapper {
    static let expectation = "a size above zero, such as 512B, 64KiB, 1MiB or 2GiB"

    let content: Int

    init?(setting text: String) {
        guard let size = ByteSize(setting: text), size.content > 0 else { return nil }
        self.content = size.content
    }

    init(_ bytes: Int) {
        self.content = bytes
    }

    var shown: FileValue { ByteSize(self.content).shown }
}

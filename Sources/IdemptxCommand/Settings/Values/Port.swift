/// A TCP port; 0 lets the system choose one.
struct Port: SettingWrapper {
    static let expectation = "a port, a number from 0 to 65535"
    static let standard = Port(8080)

    let content: Int

    init?(setting text: String) {
        guard let number = UInt16(text) else { return nil }
        self.init(Int(number))
    }

    init(_ content: Int) {
        self.content = content
    }

    var shown: FileValue { .number(self.content) }
}

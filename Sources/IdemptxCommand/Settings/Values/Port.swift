/// A TCP port; 0 lets the system choose one.
struct Port: SettingValue {
    static let expectation = "a port, a number from 0 to 65535"
    static let standard = Port(8080)

    let number: Int

    init?(setting text: String) {
        guard let number = UInt16(text) else { return nil }
        self.init(number)
    }

    private init(_ number: UInt16) {
        self.number = Int(number)
    }

    var shown: FileValue { .number(self.number) }
}

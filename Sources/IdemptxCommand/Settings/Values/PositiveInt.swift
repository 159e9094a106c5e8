/// A number of things, at least one.
struct PositiveInt: SettingValue {
    static let expectation = "a whole number above zero"

    let number: Int

    init?(setting text: String) {
        guard let number = Int(text), number > 0 else { return nil }
        self.init(number)
    }

    init(_ number: Int) {
        self.number = number
    }

    var shown: FileValue { .number(self.number) }
}

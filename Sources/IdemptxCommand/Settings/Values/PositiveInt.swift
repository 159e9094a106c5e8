/// A number of things, at least one.
struct PositiveInt: SettingWrapper {
    static let expectation = "a whole number above zero"

    let content: Int

    init?(setting text: String) {
        guard let number = Int(text), number > 0 else { return nil }
        self.init(number)
    }

    init(_ number: Int) {
        self.content = number
    }

    var shown: FileValue { .number(self.content) }
}

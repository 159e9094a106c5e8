extension Bool: SettingValue {
    static var expectation: String { "true or false" }

    static var form: SettingRow.Form { .flag }

    init?(setting text: String) {
        self.init(text)
    }

    var shown: FileValue { .flag(self) }
}

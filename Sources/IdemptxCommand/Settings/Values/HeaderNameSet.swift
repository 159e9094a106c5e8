import HTTPTypes

/// Names of header fields, such as `X-Tenant,Authorization`; perhaps none.
struct HeaderNameSet: SettingWrapper {
    static let expectation = HeaderNameList.expectation
    static let form = SettingRow.Form.list

    let content: [HTTPField.Name]

    init?(setting text: String) {
        guard let names = text.isEmpty ? [] : HeaderNameList(setting: text)?.content else { return nil }
        self.init(names)
    }

    init(_ content: [HTTPField.Name]) {
        self.content = content
    }

    var shown: FileValue { HeaderNameList(self.content).shown }
}

import HTTPTypes

/// Names of header fields, such as `X-Tenant,Authorization`.
struct HeaderNameList: SettingWrapper {
    static let expectation = "a list of names of header fields, such as X-Tenant,Authorization"
    static let form = SettingRow.Form.list

    let content: [HTTPField.Name]

    init?(setting text: String) {
        var names: [HTTPField.Name] = []
        for text in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let name = HTTPField.Name(String(text)) else { return nil }
            names.append(name)
        }
        self.init(names)
    }

    init(_ names: [HTTPField.Name]) {
        self.content = names
    }

    var shown: FileValue { .list(self.content.map(\.rawName)) }
}

import HTTPTypes

/// Names of header fields, such as `X-Tenant,Authorization`.
struct HeaderNameList: SettingValue {
    static let expectation = "a list of names of header fields, such as X-Tenant,Authorization"

    let names: [HTTPField.Name]

    init?(setting text: String) {
        var names: [HTTPField.Name] = []
        for text in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let name = HTTPField.Name(String(text)) else { return nil }
            names.append(name)
        }
        self.init(names)
    }

    init(_ names: [HTTPField.Name]) {
        self.names = names
    }

    var shown: FileValue { .list(self.names.map(\.rawName)) }
}

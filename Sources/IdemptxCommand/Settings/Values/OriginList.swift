/// Origins of web pages, such as `https://shop.example,https://admin.shop.example`; perhaps none.
struct OriginList: SettingWrapper {
    static let expectation = "a list of origins, such as https://shop.example,https://admin.shop.example"
    static let form = SettingRow.Form.list

    let content: [String]

    init?(setting text: String) {
        let origins = text.split(separator: ",", omittingEmptySubsequences: !text.contains(",")).map(String.init)
        guard origins.allSatisfy({ !$0.isEmpty }) else { return nil }
        self.init(origins)
    }

    init(_ content: [String]) {
        self.content = content
    }

    var shown: FileValue { .list(self.content) }
}

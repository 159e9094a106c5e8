/// Statuses of responses, such as `402,419`; perhaps none.
struct StatusList: SettingWrapper {
    static let expectation = "a list of statuses from 200 to 599, such as 402,419"
    static let form = SettingRow.Form.list

    let content: Set<Int>

    init?(setting text: String) {
        var statuses: Set<Int> = []
        for text in text.split(separator: ",", omittingEmptySubsequences: !text.contains(",")) {
            guard let status = Int(text), (200...599).contains(status) else { return nil }
            statuses.insert(status)
        }
        self.init(statuses)
    }

    init(_ content: Set<Int>) {
        self.content = content
    }

    var shown: FileValue { .list(self.content.sorted().map { "\($0)" }) }
}

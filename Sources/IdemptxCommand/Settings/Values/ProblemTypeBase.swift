/// What the `type` of problem details starts with.
struct ProblemTypeBase: SettingWrapper {
    static let expectation = "the beginning of an absolute URI, such as https://api.example/problems/"

    let content: String

    init?(setting text: String) {
        guard text.wholeMatch(of: /[A-Za-z][A-Za-z0-9+.\-]*:[!#-;=?-Z\[\]_a-z~]*/) != nil else { return nil }
        self.init(text)
    }

    init(_ content: String) {
        self.content = content
    }

    var shown: FileValue { .text(self.content) }
}

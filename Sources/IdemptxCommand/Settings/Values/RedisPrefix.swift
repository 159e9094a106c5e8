/// What the names of records in Redis start with.
struct RedisPrefix: SettingWrapper {
    static let expectation = "a text without braces, in which a cluster would read a hash tag"

    let content: String

    init?(setting text: String) {
        guard !text.isEmpty, !text.utf8.contains(where: "{}".utf8.contains) else { return nil }
        self.init(text)
    }

    init(_ content: String) {
        self.content = content
    }

    var shown: FileValue { .text(self.content) }
}

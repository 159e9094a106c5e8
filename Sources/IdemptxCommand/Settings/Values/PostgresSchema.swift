import IdemptxPostgres

/// The schema that holds the records in PostgreSQL.
struct PostgresSchema: SettingWrapper {
    static let expectation = "a name of at most 48 lower-case letters, digits and underscores"

    let content: String

    init?(setting text: String) {
        guard PostgresStoreConfiguration.isValid(schema: text) else { return nil }
        self.init(text)
    }

    init(_ content: String) {
        self.content = content
    }

    var shown: FileValue { .text(self.content) }
}

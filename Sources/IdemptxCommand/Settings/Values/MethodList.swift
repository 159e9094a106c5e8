import HTTPTypes

/// HTTP methods, such as `POST,PATCH`.
struct MethodList: SettingWrapper {
    static let expectation = "a list of HTTP methods in capital letters, such as POST,PATCH"
    static let form = SettingRow.Form.list

    let content: Set<HTTPRequest.Method>

    init?(setting text: String) {
        var methods: Set<HTTPRequest.Method> = []
        for name in text.split(separator: ",", omittingEmptySubsequences: false) {
            // Methods are case-sensitive (RFC 9110, section 9.1): `post` would guard nothing.
            guard !name.contains(where: \.isLowercase), let method = HTTPRequest.Method(String(name)) else {
                return nil
            }
            methods.insert(method)
        }
        self.init(methods)
    }

    init(_ methods: Set<HTTPRequest.Method>) {
        self.content = methods
    }

    var shown: FileValue { .list(self.content.map(\.rawValue).sorted()) }
}

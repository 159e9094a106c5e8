import Idemptx

/// Places in JSON bodies, such as `/attempts,/meta/sent_at`; perhaps none.
struct PointerList: SettingWrapper {
    static let expectation = "a list of JSON pointers, such as /attempts,/meta/sent_at"
    static let form = SettingRow.Form.list

    let content: [JSONPointer]

    init?(setting text: String) {
        var pointers: [JSONPointer] = []
        for text in text.split(separator: ",", omittingEmptySubsequences: !text.contains(",")) {
            // The empty pointer would be the whole body.
            guard !text.isEmpty, let pointer = try? JSONPointer(String(text)) else { return nil }
            pointers.append(pointer)
        }
        self.init(pointers)
    }

    init(_ content: [JSONPointer]) {
        self.content = content
    }

    var shown: FileValue { .list(self.content.map(\.description)) }
}

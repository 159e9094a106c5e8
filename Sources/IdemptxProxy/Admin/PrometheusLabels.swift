/// The labels of one series, in the form in which they are shown.
struct PrometheusLabels: Hashable, Sendable {
    /// Such as `outcome="executed",mode="enforce"`, without braces.
    let text: String

    init(_ dimensions: [(String, String)]) {
        self.text = dimensions.sorted { $0.0 < $1.0 }
            .map { "\(Self.name($0.0))=\"\(Self.escaped($0.1))\"" }.joined(separator: ",")
    }

    /// Both names of metrics and of labels: letters, digits and underscores, not a digit first.
    static func name(_ label: String) -> String {
        let name = String(label.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
        return name.first?.isNumber ?? true ? "_" + name : name
    }

    private static func escaped(_ value: String) -> String {
        value.reduce(into: "") { text, character in
            switch character {
            case "\\": text += "\\\\"
            case "\"": text += "\\\""
            case "\n": text += "\\n"
            default: text.append(character)
            }
        }
    }
}

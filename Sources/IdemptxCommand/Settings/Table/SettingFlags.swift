import ArgumentParser

/// The flags of a section of the table of settings.
///
/// ArgumentParser finds the flags of a type in its mirror, where a property stands for each of them elsewhere.
struct SettingFlags<Section: SettingSection>: ParsableArguments {
    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }

        init(stringValue: String) { self.stringValue = stringValue }

        init?(intValue: Int) { nil }
    }

    /// The values given on the command line, by the names of their settings.
    private(set) var values: [String: String] = [:]

    init() {}

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        for row in Section.rows {
            let key = Key(stringValue: row.name)
            self.values[row.name] =
                switch row.form {
                case .value, .file: try container.decode(Option<String?>.self, forKey: key).wrappedValue
                case .list: try container.decode(Option<[String]>.self, forKey: key).wrappedValue.commaSeparated
                case .flag: try container.decode(Flag<Bool?>.self, forKey: key).wrappedValue?.description
                }
        }
    }
}

extension SettingFlags: CustomReflectable {
    var customMirror: Mirror {
        Mirror(self, children: Section.rows.map { ($0.name, $0.argument) }, displayStyle: .struct)
    }
}

extension SettingRow {
    /// Its property in a type that ArgumentParser reads.
    fileprivate var argument: Any {
        let (name, help) = (NameSpecification.customLong(self.flagName), ArgumentHelp(self.helpWithDefault))
        return switch self.form {
        case .value, .file: Option<String?>(name: name, help: help, completion: self.completion)
        case .list: Option<[String]>(wrappedValue: [], name: name, help: help, completion: self.completion)
        case .flag: Flag<Bool?>(name: name, inversion: .prefixedNo, help: help)
        }
    }

    private var completion: CompletionKind? {
        switch self.form {
        case .file: .file()
        default: self.words.isEmpty ? nil : .list(self.words)
        }
    }

    private var helpWithDefault: String {
        let fallback = self.fallback.text
        return fallback.isEmpty || fallback == "false" ? self.help : "\(self.help) (default: \(fallback))"
    }
}

/// What there is to know of a setting: flags, variables, the help and the documentation are made of it.
struct SettingRow: Sendable {
    /// How it is given on the command line.
    enum Form: Sendable {
        /// `--name VALUE`
        case value
        /// `--name PATH`
        case file
        /// `--name A,B`, or `--name A --name B`
        case list
        /// `--name` or `--no-name`
        case flag
    }

    /// Its name in a configuration file, such as `keyTTL`.
    let name: String
    let help: String
    let form: Form
    /// What its values look like.
    let type: String
    /// The only values it can have; empty if there are too many to name them.
    let words: [String]
    /// What holds if nothing is said.
    let fallback: FileValue

    /// Its name on the command line, without the dashes in front, such as `key-ttl`.
    var flagName: String { Self.words(of: self.name).joined(separator: "-").lowercased() }

    /// Its name in the environment, such as `IDEMPTX_KEY_TTL`.
    var variableName: String { Self.variableName(of: self.name) }

    static func variableName(of name: String) -> String {
        "IDEMPTX_" + Self.words(of: name).joined(separator: "_").uppercased()
    }

    static func flag(of name: String) -> String {
        "--" + Self.words(of: name).joined(separator: "-").lowercased()
    }

    /// The parts of a name in camel case.
    private static func words(of name: String) -> [String] {
        name.reduce(into: [""]) { words, character in
            if character.isUppercase, words.last?.last?.isUppercase == false { words.append("") }
            words[words.count - 1].append(character)
        }
    }
}

import Configuration

/// The settings of a command: what its flags say, else the environment (`IDEMPTX_KEY_TTL`), else the default.
struct Settings {
    /// One setting: its name in camel case, from which flag and environment variable follow, and its default.
    struct Key<Value: SettingValue> {
        let name: String
        let fallback: Value

        init(_ name: String, default fallback: Value) {
            self.name = name
            self.fallback = fallback
        }
    }

    private let reader: ConfigReader

    /// - Parameters:
    ///   - flags: The values given on the command line, by the names of their settings.
    ///   - environment: The environment.
    init(flags: [String: String?], environment: EnvironmentVariablesProvider = EnvironmentVariablesProvider()) {
        var values: [AbsoluteConfigKey: ConfigValue] = [:]
        for case (let name, let value?) in flags {
            values[AbsoluteConfigKey([name])] = ConfigValue(.string(value), isSecret: false)
        }
        self.reader = ConfigReader(providers: [
            InMemoryProvider(values: values),
            environment.prefixKeys(with: "idemptx"),
        ])
    }

    func value<Value>(_ key: Key<Value>) throws(SettingError) -> Value {
        guard let text = self.reader.string(forKey: ConfigKey([key.name])) else { return key.fallback }
        guard let value = Value(setting: text) else {
            throw SettingError(name: key.name, text: text, expectation: Value.expectation)
        }
        return value
    }
}

/// A value that is written as a text in a flag or an environment variable.
protocol SettingValue {
    /// What a valid text looks like, to follow "is not".
    static var expectation: String { get }

    init?(setting text: String)
}

/// A setting has a value that cannot be used.
struct SettingError: Error, CustomStringConvertible {
    let name: String
    let text: String
    let expectation: String

    var description: String { "--\(self.flag): '\(self.text)' is not \(self.expectation)." }

    private var flag: String {
        self.name.reduce(into: "") { flag, character in
            if character.isUppercase, flag.last?.isUppercase == false { flag.append("-") }
            flag.append(character)
        }.lowercased()
    }
}

import Configuration

/// The settings of a command: what its flags say, else the environment (`IDEMPTX_KEY_TTL`), else a configuration file
/// (`keyTTL`), else the default.
struct Settings {
    /// All that was asked for so far, and what it is.
    private(set) var resolved: [String: FileValue] = [:]
    private let providers: [any ConfigProvider]
    private let place: @Sendable (String) -> String

    /// Creates the settings of a command.
    ///
    /// - Parameters:
    ///   - flags: The values given on the command line, by the names of their settings in camel case.
    ///   - file: The values of a configuration file.
    init(flags: [String: String?], file: [String: FileValue] = [:]) {
        self.init(
            providers: [
                InMemoryProvider(flags.compactMapValues(\.self)),
                EnvironmentVariablesProvider().prefixKeys(with: "idemptx"),
                InMemoryProvider(file.mapValues(\.text)),
            ],
            place: { "--" + Self.kebabCase($0) })
    }

    private init(providers: [any ConfigProvider], place: @escaping @Sendable (String) -> String) {
        self.providers = providers
        self.place = place
    }

    /// The settings for a part of what a command does: what a part of its configuration file says, else these.
    ///
    /// - Parameters:
    ///   - part: The part of the file.
    ///   - path: What that part is called.
    /// - Returns: The settings.
    func overridden(by part: [String: FileValue], path: String) -> Settings {
        Settings(providers: [InMemoryProvider(part.mapValues(\.text))] + self.providers, place: { "\(path).\($0)" })
    }

    /// The value of a setting, or its default.
    mutating func value<Value: SettingValue>(_ name: String, default fallback: Value) throws(SettingError) -> Value {
        let value = try self.value(name, as: Value.self) ?? fallback
        self.resolved[name] = value.shown
        return value
    }

    /// The value of a setting that may be missing.
    mutating func value<Value: SettingValue>(_ name: String, as type: Value.Type) throws(SettingError) -> Value? {
        self.resolved[name] = FileValue.none
        guard let text = ConfigReader(providers: self.providers).string(forKey: ConfigKey([name])) else { return nil }
        guard let value = Value(setting: text) else {
            throw self.error(name, "'\(text)' is not \(Value.expectation).")
        }
        self.resolved[name] = value.shown
        return value
    }

    /// An error in a setting.
    func error(_ name: String, _ flaw: String) -> SettingError {
        SettingError(place: self.place(name), flaw: flaw)
    }

    private static func kebabCase(_ name: String) -> String {
        name.reduce(into: "") { flag, character in
            if character.isUppercase, flag.last?.isUppercase == false { flag.append("-") }
            flag.append(character)
        }.lowercased()
    }
}

extension InMemoryProvider {
    fileprivate init(_ texts: [String: String]) {
        var values: [AbsoluteConfigKey: ConfigValue] = [:]
        for (name, text) in texts { values[AbsoluteConfigKey([name])] = ConfigValue(.string(text), isSecret: false) }
        self.init(values: values)
    }
}

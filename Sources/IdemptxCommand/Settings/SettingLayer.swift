import Configuration

/// One of the places where settings are made; an earlier one goes before a later one.
struct SettingLayer {
    /// The text of a setting, by its name in camel case.
    let text: (_ name: String) -> String?
    /// What a setting is called there.
    let place: (_ name: String) -> String

    /// Flags of the command line.
    static func flags(_ values: [String: String?]) -> SettingLayer {
        let reader = ConfigReader(provider: InMemoryProvider(values.compactMapValues(\.self)))
        return SettingLayer(text: { reader.string(forKey: ConfigKey([$0])) }, place: { SettingRow.flag(of: $0) })
    }

    /// The environment, in which a variable without a value counts as one that is not set.
    static var environment: SettingLayer {
        let reader = ConfigReader(provider: EnvironmentVariablesProvider().prefixKeys(with: "idemptx"))
        return SettingLayer(
            text: { name in reader.string(forKey: ConfigKey([name])).flatMap { $0.isEmpty ? nil : $0 } },
            place: { SettingRow.variableName(of: $0) })
    }

    /// An object in a configuration file, which is called `place`.
    static func file(_ values: [String: FileValue], at place: String) -> SettingLayer {
        let reader = ConfigReader(provider: InMemoryProvider(values.mapValues(\.text)))
        return SettingLayer(text: { reader.string(forKey: ConfigKey([$0])) }, place: { place + $0 })
    }
}

extension InMemoryProvider {
    fileprivate init(_ texts: [String: String]) {
        var values: [AbsoluteConfigKey: ConfigValue] = [:]
        for (name, text) in texts { values[AbsoluteConfigKey([name])] = ConfigValue(.string(text), isSecret: false) }
        self.init(values: values)
    }
}

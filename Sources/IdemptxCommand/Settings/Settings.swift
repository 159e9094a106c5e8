/// The settings of a command: what its flags say (`--key-ttl`), else the environment (`IDEMPTX_KEY_TTL`), else a
/// configuration file (`keyTTL`), else the default.
struct Settings {
    /// All that was asked for so far, and what it is.
    private(set) var resolved: [String: FileValue] = [:]
    private let file: ConfigurationFile
    private let layers: [SettingLayer]

    /// Creates the settings of a command.
    ///
    /// - Parameters:
    ///   - flags: The values given on the command line, by the names of their settings in camel case.
    ///   - file: A configuration file.
    /// - Throws: An error if a variable of the environment is none of the settings.
    init(flags: [String: String?], file: ConfigurationFile = ConfigurationFile()) throws(CommandError) {
        try SettingEnvironment.check()
        self.init(
            layers: [.flags(flags), .environment, .file(file.values, at: file.place(of: ""))], file: file)
    }

    private init(layers: [SettingLayer], file: ConfigurationFile) {
        self.layers = layers
        self.file = file
    }

    /// The settings for some paths: what a route of the configuration file says, else these.
    func overridden(byRoute index: Int) -> Settings {
        let route = self.file.routes.indices.contains(index) ? self.file.routes[index] : [:]
        let layer = SettingLayer.file(route, at: self.file.place(of: "routes[\(index)]."))
        return Settings(layers: [layer] + self.layers, file: self.file)
    }

    /// Reads all settings of a table.
    mutating func read<Target>(_ table: [Setting<Target>], into target: inout Target) throws(SettingError) {
        for setting in table {
            let name = setting.row.name
            if let (layer, text) = self.find(name), let flaw = setting.set(&target, text) {
                throw SettingError(place: layer.place(name), flaw: flaw)
            }
            self.resolved[name] = setting.shown(target)
        }
    }

    /// Reads all settings of a table; what is not set has its default.
    mutating func read<Target>(_ table: [Setting<Target>]) throws(SettingError) -> Target {
        var target = Target()
        try self.read(table, into: &target)
        return target
    }

    /// The value of a setting, or its default.
    func value<Value: SettingValue>(_ name: String, default fallback: Value) throws(SettingError) -> Value {
        try self.value(name, as: Value.self) ?? fallback
    }

    /// The value of a setting that may be missing.
    func value<Value: SettingValue>(_ name: String, as type: Value.Type) throws(SettingError) -> Value? {
        guard let (layer, text) = self.find(name) else { return nil }
        guard let value = Value(setting: text) else {
            throw SettingError(place: layer.place(name), flaw: Value.flaw(of: text))
        }
        return value
    }

    /// An error in a setting, in the place where it was made, or would have to be.
    func error(_ name: String, _ flaw: String) -> SettingError {
        let layer = self.find(name)?.layer ?? self.layers[0]
        return SettingError(place: layer.place(name), flaw: flaw)
    }

    /// Where a setting was made; `nil` if it was not.
    func place(of name: String) -> String? {
        self.find(name)?.layer.place(name)
    }

    /// The places of those settings that go before what the file says.
    var overriding: [String] {
        self.file.values.keys.sorted().compactMap { name in
            self.place(of: name).flatMap { $0 == self.file.place(of: name) ? nil : $0 }
        }
    }

    private func find(_ name: String) -> (layer: SettingLayer, text: String)? {
        for layer in self.layers {
            if let text = layer.text(name) { return (layer, text) }
        }
        return nil
    }
}

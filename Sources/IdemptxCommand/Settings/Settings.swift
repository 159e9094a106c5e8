/// The settings of a command: what its flags say (`--key-ttl`), else the environment (`IDEMPTX_KEY_TTL`), else a
/// configuration file (`keyTTL`), else the default.
struct Settings {
    /// All that was asked for so far, and what it is.
    private(set) var resolved: [String: FileValue] = [:]
    private let layers: [SettingLayer]

    /// Creates the settings of a command.
    ///
    /// - Parameters:
    ///   - flags: The values given on the command line, by the names of their settings in camel case.
    ///   - file: The values of a configuration file.
    init(flags: [String: String?], file: [String: FileValue] = [:]) {
        self.init(layers: [.flags(flags), .environment, .file(file)])
    }

    private init(layers: [SettingLayer]) {
        self.layers = layers
    }

    /// The settings for a part of what a command does: what a part of its configuration file says, else these.
    ///
    /// - Parameters:
    ///   - part: The part of the file.
    ///   - path: What that part is called.
    /// - Returns: The settings.
    func overridden(by part: [String: FileValue], path: String) -> Settings {
        Settings(layers: [.file(part, path: path)] + self.layers)
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
        guard let (layer, text) = self.find(name) else { return nil }
        guard let value = Value(setting: text) else {
            throw SettingError(place: layer.place(name), flaw: Value.flaw(of: text))
        }
        self.resolved[name] = value.shown
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

    private func find(_ name: String) -> (layer: SettingLayer, text: String)? {
        for layer in self.layers {
            if let text = layer.text(name) { return (layer, text) }
        }
        return nil
    }
}

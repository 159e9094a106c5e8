/// What settings are read into; a new one holds the defaults.
protocol SettingTarget: SendableMetatype {
    init()
}

/// One row of the table of settings, and where its value goes.
struct Setting<Target: SettingTarget>: Sendable {
    let row: SettingRow

    /// Its value, as it would be written in a configuration file, without secrets.
    let shown: @Sendable (Target) -> FileValue

    /// Gives it the value that a text says; returns what is wrong with the text, if anything is.
    let set: @Sendable (_ target: inout Target, _ text: String) -> String?

    private init<Value: SettingValue>(
        _ name: String, _ help: String, _ type: Value.Type, form: SettingRow.Form?,
        shown: @escaping @Sendable (Target) -> FileValue,
        set: @escaping @Sendable (inout Target, Value) -> Void
    ) {
        self.row = SettingRow(
            name: name, help: help, form: form ?? Value.form, type: Value.expectation, words: Value.words,
            fallback: shown(Target()))
        self.shown = shown
        self.set = { target, text in
            guard let value = Value(setting: text) else { return Value.flaw(of: text) }
            set(&target, value)
            return nil
        }
    }

    /// A setting that always has a value.
    init<Value: SettingValue>(
        _ name: String, _ path: any WritableKeyPath<Target, Value> & Sendable, _ help: String,
        form: SettingRow.Form? = nil
    ) {
        self.init(
            name, help, Value.self, form: form, shown: { $0[keyPath: path].shown }, set: { $0[keyPath: path] = $1 })
    }

    /// A setting that may be missing.
    init<Value: SettingValue>(
        _ name: String, _ path: any WritableKeyPath<Target, Value?> & Sendable, _ help: String,
        form: SettingRow.Form? = nil
    ) {
        self.init(
            name, help, Value.self, form: form, shown: { $0[keyPath: path]?.shown ?? .none },
            set: { $0[keyPath: path] = $1 })
    }

    /// A setting whose value is what its text stands for.
    init<Value: SettingWrapper>(
        _ name: String, _ path: any WritableKeyPath<Target, Value.Content> & Sendable, as type: Value.Type,
        _ help: String
    ) {
        self.init(
            name, help, type, form: nil, shown: { Value($0[keyPath: path]).shown },
            set: { $0[keyPath: path] = $1.content })
    }

    /// A setting whose value is what its text stands for, and that may be missing.
    init<Value: SettingWrapper>(
        _ name: String, _ path: any WritableKeyPath<Target, Value.Content?> & Sendable, as type: Value.Type,
        _ help: String
    ) {
        self.init(
            name, help, type, form: nil, shown: { $0[keyPath: path].map { Value($0).shown } ?? .none },
            set: { $0[keyPath: path] = $1.content })
    }
}

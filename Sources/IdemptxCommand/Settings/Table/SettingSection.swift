/// Some rows of the table of settings, under one title.
protocol SettingSection: Sendable {
    static var title: String { get }

    /// When a changed value takes effect, as a sentence.
    static var change: String { get }

    static var rows: [SettingRow] { get }
}

extension SettingSection {
    static var change: String { "A changed value takes effect with the next start." }
}

/// All sections of the table of settings, in their order.
enum SettingTable {
    static var sections: [any SettingSection.Type] {
        #if Proxy
        [NetworkSection.self, RuleSection.self, LimitSection.self, StoreSection.self, OperatorSection.self]
        #else
        [RuleSection.self, StoreSection.self]
        #endif
    }

    /// The names of all settings of all commands.
    static var names: Set<String> {
        // Those of the demo and the keys, which may be built without the proxy.
        let others = ["config", "host", "port", "ledger", "sameTransaction", "scopeHeader"]
        return Set(Self.sections.flatMap { $0.rows.map(\.name) } + others)
    }
}

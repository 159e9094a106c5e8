import Foundation

/// The variables whose names start with `IDEMPTX_`.
enum SettingEnvironment {
    /// Those of the package's own build and tests, which nobody means as settings.
    private static var others: some RegexComponent<Substring> {
        /IDEMPTX_(?:TEST_.*|ADAPTER_PROOF|BENCHMARKS|BINARY|DOCUMENTATION|FUZZING|NATIVE_CLIENTS|TSAN)/
    }

    /// A misspelt variable must not pass for one that is not set.
    static func check() throws(CommandError) {
        let known = Set(SettingTable.names.map { SettingRow.variableName(of: $0) })
        let variables = ProcessInfo.processInfo.environment.keys.filter { $0.hasPrefix("IDEMPTX_") }
        let unknown = variables.filter { !known.contains($0) && $0.wholeMatch(of: Self.others) == nil }
        guard let name = unknown.min() else { return }
        throw CommandError("\(name): there is no such setting.\(Spelling.suggestion(for: name, among: known))")
    }
}

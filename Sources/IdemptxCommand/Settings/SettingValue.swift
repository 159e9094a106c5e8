/// A value that is written as a text in a flag, in the environment or in a file.
protocol SettingValue: SendableMetatype {
    /// What a valid text looks like, to follow "is not".
    static var expectation: String { get }

    /// The only texts that are valid; empty if there are too many to name them.
    static var words: [String] { get }

    /// How it is given on the command line.
    static var form: SettingRow.Form { get }

    /// Why a text is not valid.
    static func flaw(of text: String) -> String

    init?(setting text: String)

    /// How it is shown: as it would be written in a configuration file, without secrets.
    var shown: FileValue { get }
}

extension SettingValue {
    static var words: [String] { [] }

    static var form: SettingRow.Form { .value }

    static func flaw(of text: String) -> String {
        text.isEmpty ? "it must not be empty." : "'\(text)' is not \(Self.expectation)."
    }
}

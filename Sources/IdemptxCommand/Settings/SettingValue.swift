/// A value that is written as a text in a flag or an environment variable.
protocol SettingValue {
    /// What a valid text looks like, to follow "is not".
    static var expectation: String { get }

    init?(setting text: String)

    /// How it is shown: as it would be written in a configuration file, without secrets.
    var shown: FileValue { get }
}

import Idemptx

/// One of a few words.
protocol Choice: SettingValue, RawRepresentable, CaseIterable where RawValue == String {}

extension Choice {
    static var expectation: String {
        "one of " + Self.words.joined(separator: ", ")
    }

    init?(setting text: String) {
        self.init(rawValue: text)
    }

    var shown: FileValue { .text(self.rawValue) }

    static var words: [String] { Self.allCases.map(\.rawValue) }
}

/// What happens to an operation whose outcome is unknown: the rules that need no code.
enum UnknownOutcomeChoice: String, Choice {
    case rerun
    case refuse

    var rule: UnknownOutcomeRule {
        switch self {
        case .rerun: .rerun
        case .refuse: .refuse
        }
    }
}

extension IdempotencyPolicy.Mode: Choice {}

extension IdempotencyPolicy.StoreFailureRule: Choice {}

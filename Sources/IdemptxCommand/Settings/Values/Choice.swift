import ArgumentParser
import Idemptx

/// One of a few words.
protocol Choice: SettingValue, RawRepresentable, CaseIterable where RawValue == String {}

extension Choice {
    static var expectation: String {
        "one of " + Self.allCases.map(\.rawValue).joined(separator: ", ")
    }

    init?(setting text: String) {
        self.init(rawValue: text)
    }

    var shown: FileValue { .text(self.rawValue) }

    /// The words, for shells.
    static var completion: CompletionKind { .list(Self.allCases.map(\.rawValue)) }
}

extension AbandonedRule: Choice {}

extension IdempotencyPolicy.Mode: Choice {}

extension IdempotencyPolicy.StoreFailureRule: Choice {}

import Foundation

@testable import IdemptxCommand

/// A configuration file is refused, or it gives settings that, written as a file, give the same settings.
struct SettingsFileCheck {
    var settings: @Sendable ([UInt8]) throws -> ProxySettings = { try Self.settings($0) }

    func check(_ input: [UInt8]) throws {
        guard let settings = try? self.settings(input) else { return }
        let shown = try JSONEncoder().encode(settings.shown)
        // What is secret is not shown.
        guard !String(decoding: shown, as: UTF8.self).contains("***") else { return }
        let again = try self.settings(Array(shown))
        try Violation.unless(
            again.shown.values == settings.shown.values && again.shown.routes == settings.shown.routes,
            "The settings that are shown give others")
    }

    static func settings(_ file: [UInt8]) throws -> ProxySettings {
        try ProxySettings(flags: [:], file: ConfigurationFile(file, path: "idemptx.json"))
    }
}

#if Proxy
/// The page of the documentation about all settings.
enum SettingsPage {
    static var text: String {
        ([Self.introduction] + SettingTable.sections.map(Self.text)).joined(separator: "\n")
    }

    private static let introduction = """
        # Settings

        All settings of `idemptx proxy`.

        ## Overview

        A setting has the same name everywhere: `--key-ttl` on the command line, `IDEMPTX_KEY_TTL` in the environment, and
        `keyTTL` in the configuration file that `--config` names. A flag goes before the environment, that before the file, and
        that before the default. A list is written with commas, `--methods POST,PUT`; its flag can also be repeated, and in the
        file it can be an array. A setting that is true or false has two flags: `--require-key` and `--no-require-key`.

        A name that is not in these tables is an error, in the environment and in the file.

        <!-- Written by Scripts/write-settings: change the table in Sources/IdemptxCommand instead. -->

        """

    private static func text(of section: any SettingSection.Type) -> String {
        let rows = section.rows.map { row in
            "| `--\(row.flagName)`, `\(row.name)` | \(Self.fallback(of: row)) | \(row.help.escaped) | \(row.type.escaped) |\n"
        }
        return """
            ## \(section.title)

            \(section.change)

            | flag, and name in the file | default | | value |
            |---|---|---|---|
            \(rows.joined())
            """
    }

    private static func fallback(of row: SettingRow) -> String {
        row.fallback.text.isEmpty ? "" : "`\(row.fallback.text)`"
    }
}

extension String {
    fileprivate var escaped: String { self.replacing("|", with: "\\|").replacing("<", with: "\\<") }
}
#endif

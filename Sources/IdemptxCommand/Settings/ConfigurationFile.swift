import Foundation

/// A configuration file: a JSON object of settings, and under `routes` rules for some paths.
struct ConfigurationFile: Equatable {
    private static let routesName = "routes"

    var values: [String: FileValue] = [:]
    var routes: [[String: FileValue]] = []

    init() {}

    /// Reads the file that `--config` or `IDEMPTX_CONFIG` names; if neither does, there are no settings in it.
    init(namedIn flags: [String: String?]) throws {
        var settings = Settings(flags: flags)
        self = try settings.value("config", as: String.self).map(Self.init(path:)) ?? Self()
    }

    /// Reads a file, in which `null` stands for the default.
    init(path: String) throws(CommandError) {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw CommandError("--config: the file '\(path)' cannot be read.")
        }
        do {
            self = try JSONDecoder().decode(ConfigurationFile.self, from: data)
        } catch DecodingError.dataCorrupted(let context) where !context.codingPath.isEmpty {
            throw CommandError("--config: \(Self.name(of: context.codingPath)): \(context.debugDescription)")
        } catch DecodingError.typeMismatch(_, let context) where !context.codingPath.isEmpty {
            let shape = context.codingPath.count == 1 ? "a list of objects" : "an object"
            throw CommandError("--config: \(Self.name(of: context.codingPath)): It has to be \(shape).")
        } catch DecodingError.valueNotFound(_, let context) {
            throw CommandError("--config: \(Self.name(of: context.codingPath)): It has to be an object.")
        } catch {
            throw CommandError("--config: the file '\(path)' holds no valid JSON object.")
        }
    }

    private static func name(of path: [any CodingKey]) -> String {
        path.reduce(into: "") { name, key in
            if let index = key.intValue {
                name += "[\(index)]"
            } else {
                name += (name.isEmpty ? "" : ".") + key.stringValue
            }
        }
    }
}

extension ConfigurationFile: Codable {
    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }

        init(stringValue: String) { self.stringValue = stringValue }

        init?(intValue: Int) { nil }
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        for key in container.allKeys {
            if key.stringValue == Self.routesName {
                self.routes = (try container.decodeIfPresent([[String: FileValue]].self, forKey: key) ?? []).map(
                    \.withoutNone)
            } else {
                self.values[key.stringValue] = try container.decode(FileValue.self, forKey: key)
            }
        }
        self.values = self.values.withoutNone
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        for (name, value) in self.values { try container.encode(value, forKey: Key(stringValue: name)) }
        try container.encode(self.routes, forKey: Key(stringValue: Self.routesName))
    }
}

extension [String: FileValue] {
    fileprivate var withoutNone: Self { self.filter { $0.value != FileValue.none } }
}

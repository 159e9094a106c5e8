import Foundation

/// A configuration file: a JSON object of settings, and under `routes` rules for some paths.
struct ConfigurationFile {
    private static let routesName = "routes"

    var values: [String: FileValue] = [:]
    var routes: [[String: FileValue]] = []
    private let path: String?

    init() {
        self.path = nil
    }

    /// Reads the file that `--config` or `IDEMPTX_CONFIG` names; if neither does, there are no settings in it.
    init(namedIn flags: [String: String?]) throws {
        self = try Settings(flags: flags).value("config", as: String.self).map(Self.init(path:)) ?? Self()
    }

    private init(path: String) throws(CommandError) {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw CommandError("--config: the file '\(path)' cannot be read.")
        }
        try self.init(Array(data), path: path)
    }

    /// Understands the bytes of a file, in which `null` stands for the default.
    init(_ bytes: [UInt8], path: String) throws(CommandError) {
        self.path = path
        do {
            for member in try JSONReader.object(in: bytes) {
                if member.name == Self.routesName {
                    self.routes = try Self.routes(member.node)
                } else {
                    self.values[member.name] = try FileValue(member.node, named: member.name)
                }
            }
        } catch {
            throw CommandError("\(path), line \(error.line): \(error.description)")
        }
    }

    private static func routes(_ node: JSONNode) throws(JSONFlaw) -> [[String: FileValue]] {
        guard let nodes = node.elements else {
            throw JSONFlaw(line: node.line, "\(Self.routesName): It has to be a list of objects.")
        }
        var routes: [[String: FileValue]] = []
        for (index, node) in nodes.enumerated() {
            let name = "\(Self.routesName)[\(index)]"
            guard case .object(let members) = node.value else {
                throw JSONFlaw(line: node.line, "\(name): It has to be an object.")
            }
            var route: [String: FileValue] = [:]
            for member in members { route[member.name] = try FileValue(member.node, named: "\(name).\(member.name)") }
            routes.append(route)
        }
        return routes
    }

    /// What a setting of the file is called in an error.
    func place(of name: String) -> String {
        self.path.map { "\($0): \(name)" } ?? name
    }
}

extension ConfigurationFile: Encodable {
    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }

        init(stringValue: String) { self.stringValue = stringValue }

        init?(intValue: Int) { nil }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        for (name, value) in self.values { try container.encode(value, forKey: Key(stringValue: name)) }
        try container.encode(self.routes, forKey: Key(stringValue: Self.routesName))
    }
}

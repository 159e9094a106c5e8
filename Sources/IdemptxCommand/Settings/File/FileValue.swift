/// A value in a configuration file.
enum FileValue: Equatable {
    case none
    case text(String)
    case number(Int)
    case flag(Bool)
    case list([String])

    /// The value as it would be written on the command line; nothing if there is none.
    var text: String {
        switch self {
        case .none: ""
        case .text(let text): text
        case .number(let number): "\(number)"
        case .flag(let flag): "\(flag)"
        case .list(let texts): texts.joined(separator: ",")
        }
    }
}

extension FileValue {
    /// Reads a value; `nil` for `null`, which stands for the default.
    init?(_ node: JSONNode, named name: String) throws(JSONFlaw) {
        switch node.value {
        case .null: return nil
        case .flag(let flag): self = .flag(flag)
        case .text(let text): self = .text(text)
        case .number(let text):
            guard let number = Int(text) else { throw Self.flaw(of: node, named: name) }
            self = .number(number)
        case .array(let nodes):
            var texts: [String] = []
            for node in nodes {
                switch node.value {
                case .text(let text), .number(let text): texts.append(text)
                default: throw Self.flaw(of: node, named: name)
                }
            }
            self = .list(texts)
        case .object: throw Self.flaw(of: node, named: name)
        }
    }

    private static func flaw(of node: JSONNode, named name: String) -> JSONFlaw {
        JSONFlaw(
            line: node.line, "\(name): It has to be a text, a whole number, true, false, or a list of texts.")
    }
}

extension FileValue: Encodable {
    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .none: try container.encodeNil()
        case .text(let text): try container.encode(text)
        case .number(let number): try container.encode(number)
        case .flag(let flag): try container.encode(flag)
        case .list(let texts): try container.encode(texts)
        }
    }
}

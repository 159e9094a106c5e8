import IdemptxTesting

/// A JSON value, and texts that say it in different ways.
indirect enum RandomJSON {
    /// `true`, `false`, `null` or a number, as it is written.
    case literal(String)
    case string([Unicode.Scalar])
    case array([RandomJSON])
    case object([(name: [Unicode.Scalar], value: RandomJSON)])

    static func value(depth: Int = 0, using generator: inout SeededGenerator) -> RandomJSON {
        switch Int.random(in: 0..<(depth < 4 ? 6 : 3), using: &generator) {
        case 0: .literal(["true", "false", "null"].randomElement(using: &generator) ?? "null")
        case 1:
            .literal(
                ["0", "-1", "1.0", "1.00", "1e2", "1E+2", "12345678901234567890"].randomElement(using: &generator)
                    ?? "0")
        case 2: .string(self.text(using: &generator))
        case 3:
            .array(
                (0..<Int.random(in: 0..<4, using: &generator)).map { _ in
                    self.value(depth: depth + 1, using: &generator)
                })
        default: self.object(depth: depth, using: &generator)
        }
    }

    private static func object(depth: Int, using generator: inout SeededGenerator) -> RandomJSON {
        var names: Set<[Unicode.Scalar]> = []
        var members: [(name: [Unicode.Scalar], value: RandomJSON)] = []
        for _ in 0..<Int.random(in: 0..<5, using: &generator) {
            let name = self.text(using: &generator)
            guard names.insert(name).inserted else { continue }
            members.append((name, self.value(depth: depth + 1, using: &generator)))
        }
        return .object(members)
    }

    private static func text(using generator: inout SeededGenerator) -> [Unicode.Scalar] {
        let scalars = Array("ab\"\\/\n\t\u{0}\u{7F}é\u{2028}😀".unicodeScalars)
        return (0..<Int.random(in: 0..<4, using: &generator)).compactMap { _ in scalars.randomElement(using: &generator)
        }
    }

    /// One of the many texts of this value: members in any order, any white space, any escapes.
    func text(using generator: inout SeededGenerator) -> String {
        let space = ["", " ", "\n\t"].randomElement(using: &generator) ?? ""
        switch self {
        case .literal(let literal): return space + literal + space
        case .string(let scalars): return space + Self.quoted(scalars, using: &generator) + space
        case .array(let elements):
            return "[" + space + elements.map { $0.text(using: &generator) }.joined(separator: ",") + "]"
        case .object(let members):
            let texts = members.shuffled(using: &generator).map { member in
                Self.quoted(member.name, using: &generator) + space + ":" + member.value.text(using: &generator)
            }
            return space + "{" + texts.joined(separator: ",") + space + "}"
        }
    }

    private static func quoted(_ scalars: [Unicode.Scalar], using generator: inout SeededGenerator) -> String {
        scalars.reduce(into: "\"") { text, scalar in
            let mustEscape = scalar.value < 0x20 || scalar == "\"" || scalar == "\\"
            if mustEscape || Bool.random(using: &generator) {
                for unit in String(scalar).utf16 {
                    let digits = String(unit, radix: 16, uppercase: Bool.random(using: &generator))
                    text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                }
            } else {
                text.unicodeScalars.append(scalar)
            }
        } + "\""
    }

    /// A value that differs in one place.
    func changed(using generator: inout SeededGenerator) -> RandomJSON {
        switch self {
        case .literal(let literal): return .literal(literal == "7" ? "8" : "7")
        case .string(let scalars): return .string(scalars + ["x"])
        case .array(var elements):
            guard let index = elements.indices.randomElement(using: &generator) else { return .array([.literal("1")]) }
            elements[index] = elements[index].changed(using: &generator)
            return .array(elements)
        case .object(var members):
            guard let index = members.indices.randomElement(using: &generator) else {
                return .object([(["x"], .literal("1"))])
            }
            members[index].value = members[index].value.changed(using: &generator)
            return .object(members)
        }
    }
}

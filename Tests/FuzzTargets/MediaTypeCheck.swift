@testable import Idemptx

/// A media type is what was written, in whatever style; and what it is compared by says all of it.
struct MediaTypeCheck {
    var read: @Sendable (String) -> MediaType? = { MediaType($0) }
    var comparable: @Sendable (MediaType) -> String = { $0.comparable }

    func check(_ input: [UInt8]) throws {
        let text = String(decoding: input, as: UTF8.self)
        _ = MediaType.parameters(ofDisposition: text)
        try self.checkWritten(input)
        guard let type = self.read(text) else { return }
        let parameters = type.parameters.map { parameter in
            " ; \(parameter.name.uppercased())=\(parameter.value.quoted)"
        }
        let again = self.read("\(type.essence.uppercased())\(parameters.joined());")
        try Violation.unless(again == type, "In another style, the type is another")
        try Violation.unless(type.essence.utf8.allSatisfy { !(0x41...0x5A).contains($0) }, "A type in upper case")
        try Violation.unless(
            type.parameters.allSatisfy { $0.name == $0.name.lowercased() }, "A parameter in upper case")
        let compared = MediaType(self.comparable(type))
        let significant = type.parameters.filter { !type.isJSON && ($0.name != "boundary" || !type.isMultipart) }
        try Violation.unless(
            compared?.essence == type.essence
                && Self.isSame(
                    compared?.parameters ?? [], significant.sorted { $0.name < $1.name }.map { ($0.name, $0.value) }),
            "What a type is compared by does not say what it is")
    }

    /// Takes the lines of the input for a type, a subtype, and the names and values of parameters, and writes them.
    private func checkWritten(_ input: [UInt8]) throws {
        let lines = input.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
        guard lines.count >= 4, lines.count.isMultiple(of: 2) else { return }
        let parameters = stride(from: 2, to: lines.count, by: 2).map { (name: lines[$0], value: lines[$0 + 1]) }
        guard Self.isToken(lines[0]), Self.isToken(lines[1]), parameters.allSatisfy({ Self.isToken($0.name) }) else {
            return
        }
        let written = parameters.map { ";\t\($0.name)=\(Self.isToken($0.value) ? $0.value : $0.value.quoted)" }
        guard let type = self.read("\(lines[0])/\(lines[1])\(written.joined())") else {
            throw Violation("A type was refused that is well formed")
        }
        try Violation.unless(
            type.essence == "\(lines[0])/\(lines[1])".lowercased(), "Another type than what was written")
        try Violation.unless(Self.isSame(type.parameters, parameters), "Other parameters than what was written")
    }

    private static func isSame(_ read: [MediaType.Parameter], _ expected: [(name: String, value: String)]) -> Bool {
        read.elementsEqual(expected) {
            $0.name == $1.name.lowercased() && $0.value.utf8.elementsEqual($1.value.utf8)
        }
    }

    /// RFC 9110, section 5.6.2.
    private static func isToken(_ text: String) -> Bool {
        text.wholeMatch(of: /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/) != nil
    }
}

@testable import Idemptx

/// A media type stays the same if its parameters are written in another style.
struct MediaTypeCheck {
    func check(_ input: [UInt8]) throws {
        let text = String(decoding: input, as: UTF8.self)
        _ = MediaType.parameters(ofDisposition: text)
        guard let type = MediaType(text) else { return }
        let parameters = type.parameters.map { parameter in
            " ; \(parameter.name.uppercased())=\(parameter.value.quoted)"
        }
        let again = MediaType("\(type.essence.uppercased())\(parameters.joined());")
        try Violation.unless(again == type, "In another style, the type is another")
        try Violation.unless(type.essence.utf8.allSatisfy { !(0x41...0x5A).contains($0) }, "A type in upper case")
        try Violation.unless(
            type.parameters.allSatisfy { $0.name == $0.name.lowercased() }, "A parameter in upper case")
    }
}

import HTTPTypes
import NIOCore

extension ByteBuffer {
    /// Writes the head of a response that was made here, without what says how its end is found.
    ///
    /// - Parameters:
    ///   - head: Status and fields.
    ///   - keepsLength: Whether `Content-Length` is one of its own, and speaks of no body that follows.
    ///   - changes: What a handler changes of the fields.
    ///   - extra: Fields that go on besides.
    mutating func writeResponse(
        _ head: HTTPResponse, keepsLength: Bool = false, changes: FieldChanges? = nil, extra: [(String, String)]
    ) {
        let (code, phrase) = (head.status.code, head.status.reasonPhrase)
        self.writeString("HTTP/1.1 \(code) \(phrase.isEmpty ? StatusText.reason(of: code) : phrase)\r\n")
        for field in head.headerFields {
            let kind = FieldKind(field.name.rawName.utf8)
            guard !kind.isHopByHop, kind != .contentLength || keepsLength else { continue }
            guard changes?.passes(field.name.canonicalName.utf8) ?? true else { continue }
            self.writeString(field.name.rawName)
            self.writeStaticString(": ")
            // Byte for byte, even if it is not UTF-8.
            unsafe field.withUnsafeBytesOfValue { _ = unsafe self.writeBytes($0) }
            self.writeStaticString("\r\n")
        }
        for (name, value) in (changes?.added ?? []) + extra { self.writeField(name, value) }
        self.writeStaticString("\r\n")
    }
}

/// The header fields that a proxy has to know; all others pass.
enum FieldKind: UInt8 {
    case other
    // Those of one connection (RFC 9110, section 7.6.1).
    case connection
    case keepAlive
    case proxyConnection
    case te
    case upgrade
    // Framing.
    case transferEncoding
    case contentLength
    // Those that a proxy reads, changes or adds.
    case host
    case expect
    case via
    case date
    case cookie
    case maxForwards
    case forwarded
    case forwardedFor
    case forwardedHost
    case forwardedProto

    /// Whether the field belongs to one connection, and not to the message.
    var isHopByHop: Bool {
        switch self {
        case .connection, .keepAlive, .proxyConnection, .te, .upgrade, .transferEncoding: true
        default: false
        }
    }

    /// The kind of the field with this name, whatever its case.
    @inline(__always)
    init(_ name: some Collection<UInt8>) {
        guard let first = name.first, let (kind, spelling) = Self.candidate(count: name.count, first: first | 0x20),
            name.equalsLowercased(spelling)
        else {
            self = .other
            return
        }
        self = kind
    }

    /// The kind of the field whose name stands here.
    @inline(__always)
    init(_ bytes: Span<UInt8>, _ name: Range<Int>) {
        self = .other
        guard !name.isEmpty,
            let (kind, spelling) = Self.candidate(count: name.count, first: bytes[name.lowerBound] | 0x20)
        else { return }
        var index = name.lowerBound
        for byte in spelling.utf8 {
            guard bytes[index].lowercasedASCII == byte else { return }
            index += 1
        }
        self = kind
    }

    /// The only kind whose name has this length and this first letter.
    private static func candidate(count: Int, first: UInt8) -> (FieldKind, String)? {
        switch (count, first) {
        case (2, UInt8(ascii: "t")): (.te, "te")
        case (3, UInt8(ascii: "v")): (.via, "via")
        case (4, UInt8(ascii: "h")): (.host, "host")
        case (4, UInt8(ascii: "d")): (.date, "date")
        case (6, UInt8(ascii: "e")): (.expect, "expect")
        case (6, UInt8(ascii: "c")): (.cookie, "cookie")
        case (7, UInt8(ascii: "u")): (.upgrade, "upgrade")
        case (9, UInt8(ascii: "f")): (.forwarded, "forwarded")
        case (10, UInt8(ascii: "c")): (.connection, "connection")
        case (10, UInt8(ascii: "k")): (.keepAlive, "keep-alive")
        case (12, UInt8(ascii: "m")): (.maxForwards, "max-forwards")
        case (14, UInt8(ascii: "c")): (.contentLength, "content-length")
        case (15, UInt8(ascii: "x")): (.forwardedFor, "x-forwarded-for")
        case (16, UInt8(ascii: "p")): (.proxyConnection, "proxy-connection")
        case (16, UInt8(ascii: "x")): (.forwardedHost, "x-forwarded-host")
        case (17, UInt8(ascii: "t")): (.transferEncoding, "transfer-encoding")
        case (17, UInt8(ascii: "x")): (.forwardedProto, "x-forwarded-proto")
        default: nil
        }
    }
}

extension Collection<UInt8> {
    /// Whether this is `lowercased`, apart from the case of letters.
    @inline(__always)
    func equalsLowercased(_ lowercased: String) -> Bool {
        var expected = lowercased.utf8.makeIterator()
        for byte in self where byte.lowercasedASCII != expected.next() { return false }
        return expected.next() == nil
    }
}

extension UInt8 {
    @inline(__always)
    var lowercasedASCII: UInt8 { (0x41...0x5A).contains(self) ? self | 0x20 : self }

    /// Whether the byte can stand in a token, such as the name of a field (RFC 9110, section 5.6.2).
    @inline(__always)
    var isTokenCharacter: Bool {
        switch self {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        case 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E, 0x5E, 0x5F, 0x60, 0x7C, 0x7E: true
        default: false
        }
    }

    /// Whether the byte can stand in the value of a field (RFC 9110, section 5.5).
    @inline(__always)
    var isFieldCharacter: Bool { self >= 0x20 ? self != 0x7F : self == 0x09 }
}

extension String {
    /// The elements of a comma-separated list, in lower case.
    var listElements: [String] {
        self.utf8.split(separator: UInt8(ascii: ",")).map { Substring($0).trimmed.lowercased() }.filter { !$0.isEmpty }
    }

    /// The value of a field without the space around it, which is no part of it (RFC 9112, section 5.1).
    var trimmed: String { self[...].trimmed }

    /// A decimal number, of digits only.
    var asDigits: Int? {
        guard !self.isEmpty, self.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return Int(self)
    }
}

extension Substring {
    var trimmed: String {
        var bytes = self.utf8
        while let byte = bytes.first, byte == 0x20 || byte == 0x09 { bytes.removeFirst() }
        while let byte = bytes.last, byte == 0x20 || byte == 0x09 { bytes.removeLast() }
        return String(Substring(bytes))
    }
}

import NIOCore

extension ByteBuffer {
    /// Reads up to the next line end, and over it.
    ///
    /// - Returns: The line without its end; `nil` if the end has not come yet.
    mutating func readLine(limit: Int) throws(ProtocolViolation) -> ByteBuffer? {
        let window = self.readableBytesView.prefix(limit)
        guard let end = window.firstIndex(of: UInt8(ascii: "\r")) else {
            guard window.count < limit else { throw ProtocolViolation("A line is longer than \(limit) bytes.") }
            return nil
        }
        guard self.writerIndex > end + 1 else { return nil }
        let line = self.readSlice(length: end - self.readerIndex)
        guard self.readInteger(as: UInt16.self) == 0x0D0A else {
            throw ProtocolViolation("A line end lacks its line feed.")
        }
        return line
    }

    var isMinusOne: Bool { self.readableBytesView.elementsEqual("-1".utf8) }

    func integer() throws(ProtocolViolation) -> Int {
        var digits = self.readableBytesView[...]
        let sign = digits.first
        if sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") { digits.removeFirst() }
        // From below zero, where there is one number more.
        var number = 0
        var isOutOfRange = digits.isEmpty
        for digit in digits where !isOutOfRange {
            let (tens, overflow) = number.multipliedReportingOverflow(by: 10)
            let (sum, secondOverflow) = tens.subtractingReportingOverflow(Int(digit) - 48)
            isOutOfRange = overflow || secondOverflow || !(48...57).contains(digit)
            number = sum
        }
        if sign != UInt8(ascii: "-") {
            isOutOfRange = isOutOfRange || number == .min
            number = 0 &- number
        }
        guard !isOutOfRange else { throw ProtocolViolation("A number is not a number of 64 bits.") }
        return number
    }

    func bigNumber() throws(ProtocolViolation) -> String {
        guard self.isDecimal else { throw ProtocolViolation("A big number is not a number.") }
        return String(buffer: self)
    }

    func double() throws(ProtocolViolation) -> Double {
        let text = String(buffer: self)
        // `Double` knows more spellings, such as hexadecimal, than the protocol.
        let isPlain = text.utf8.allSatisfy { "0123456789+-.eE".utf8.contains($0) }
        guard isPlain || ["inf", "-inf", "nan", "-nan"].contains(text), let number = Double(text) else {
            throw ProtocolViolation("A double is not a number.")
        }
        return number
    }

    func boolean() throws(ProtocolViolation) -> Bool {
        switch String(buffer: self) {
        case "t": return true
        case "f": return false
        default: throw ProtocolViolation("A boolean is neither true nor false.")
        }
    }

    /// Takes apart the three characters of the format, a colon and the text.
    func verbatimString() throws(ProtocolViolation) -> RESPValue {
        var rest = self
        guard let format = rest.readString(length: 3), rest.readInteger(as: UInt8.self) == UInt8(ascii: ":") else {
            throw ProtocolViolation("A verbatim string does not name its format.")
        }
        return .verbatimString(format: format, text: rest)
    }

    private var isDecimal: Bool {
        var digits = self.readableBytesView[...]
        if let sign = digits.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") { digits.removeFirst() }
        return !digits.isEmpty && digits.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    }
}

/// The tokens of JSON in a text: each function returns where one ends.
extension Span<UInt8> {
    typealias Malformed = CanonicalJSONScanner.NotCanonicalizable

    @inline(__always)
    func has(_ byte: UInt8, at index: Int) -> Bool {
        index < self.count && self[index] == byte
    }

    @inline(__always)
    func endOfWhitespace(from start: Int) -> Int {
        var end = start
        while end < self.count {
            switch self[end] {
            case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t"): end += 1
            default: return end
            }
        }
        return end
    }

    @inline(__always)
    func endOfLiteral(_ literal: StaticString, from start: Int) throws(Malformed) -> Int {
        let end = start + literal.utf8CodeUnitCount
        guard end <= self.count else { throw Malformed() }
        // Safe: a static string is there for good, and has so many bytes.
        for index in start..<end where unsafe self[index] != literal.utf8Start[index - start] { throw Malformed() }
        return end
    }

    func endOfNumber(from start: Int) throws(Malformed) -> Int {
        var end = self.has(UInt8(ascii: "-"), at: start) ? start + 1 : start
        end = self.has(UInt8(ascii: "0"), at: end) ? end + 1 : try self.endOfDigits(from: end)
        if self.has(UInt8(ascii: "."), at: end) { end = try self.endOfDigits(from: end + 1) }
        guard end < self.count, self[end] | 0x20 == UInt8(ascii: "e") else { return end }
        end += 1
        if self.has(UInt8(ascii: "+"), at: end) || self.has(UInt8(ascii: "-"), at: end) { end += 1 }
        return try self.endOfDigits(from: end)
    }

    private func endOfDigits(from start: Int) throws(Malformed) -> Int {
        var end = start
        while end < self.count, self[end] &- UInt8(ascii: "0") < 10 { end += 1 }
        guard end > start else { throw Malformed() }
        return end
    }

    // MARK: Strings

    /// Reads a character beyond ASCII in UTF-8: no form longer than need be, and no surrogate.
    func endOfMultibyteScalar(from start: Int) throws(Malformed) -> Int {
        let length = (~self[start]).leadingZeroBitCount
        guard (2...4).contains(length), start + length <= self.count else { throw Malformed() }
        var value = UInt32(self[start] & (0x7F >> UInt8(length)))
        for index in start + 1..<start + length {
            guard self[index] & 0xC0 == 0x80 else { throw Malformed() }
            value = value << 6 | UInt32(self[index] & 0x3F)
        }
        guard let scalar = Unicode.Scalar(value), UTF8.width(scalar) == length else { throw Malformed() }
        return start + length
    }

    func hasUpperCase(in range: Range<Int>) -> Bool {
        for index in range where self[index] & 0xE0 == 0x40 { return true }
        return false
    }

    /// Reads `\u` and four digits, and a second escape where the two are a surrogate pair.
    ///
    /// A lone surrogate has no UTF-8 form.
    func hexadecimalScalar(at start: Int) throws(Malformed) -> (Unicode.Scalar, end: Int) {
        var value = try self.codeUnit(at: start + 2)
        var end = start + 6
        let isFollowedByEscape = self.has(UInt8(ascii: "\\"), at: end) && self.has(UInt8(ascii: "u"), at: end + 1)
        if (0xD800..<0xDC00).contains(value), isFollowedByEscape {
            let low = try self.codeUnit(at: end + 2)
            guard (0xDC00..<0xE000).contains(low) else { throw Malformed() }
            value = 0x10000 + (value - 0xD800) << 10 + (low - 0xDC00)
            end += 6
        }
        guard let scalar = Unicode.Scalar(value) else { throw Malformed() }
        return (scalar, end)
    }

    private func codeUnit(at start: Int) throws(Malformed) -> UInt32 {
        guard start + 4 <= self.count else { throw Malformed() }
        var unit: UInt32 = 0
        for index in start..<start + 4 {
            guard let digit = self[index].hexDigitValue else { throw Malformed() }
            unit = unit << 4 | UInt32(digit)
        }
        return unit
    }

    /// Eight bytes as a number, the first one the least significant.
    @inline(__always)
    private func word(at offset: Int) -> UInt64 {
        // The offset is checked, and any eight bytes are a number: unsafe is what other types would do with them.
        unsafe UInt64(littleEndian: self.bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    /// Where ASCII ends that stands in a string as it is: the next control, quote, backslash, or byte beyond ASCII.
    @inline(__always)
    func endOfPlainText(from start: Int) -> Int {
        var end = start
        let ones: UInt64 = 0x0101_0101_0101_0101
        while end + 8 <= self.count {
            let word = self.word(at: end)
            let quotes = (word ^ (ones &* 0x22)) &- ones
            let backslashes = (word ^ (ones &* 0x5C)) &- ones
            let controls = word &- (ones &* 0x20)
            // The highest bit of a byte is set if it is what is looked for, or follows such a byte.
            let found = (quotes | backslashes | controls | word) & (ones &* 0x80)
            if found != 0 { return end + found.trailingZeroBitCount / 8 }
            end += 8
        }
        while end < self.count, self[end] &- 0x20 < 0x60, self[end] != 0x22, self[end] != 0x5C { end += 1 }
        return end
    }

    /// The bytes after the first one of a name, as a number that is as great as they are late in the order of names.
    @inline(__always)
    func firstBytes(of name: Range<Int>) -> UInt64 {
        let (start, count) = (name.lowerBound + 1, name.count - 1)
        if start + 8 <= self.count {
            let word = self.word(at: start).byteSwapped
            return count < 8 ? word & ~(.max >> UInt64(8 * count)) : word
        }
        var word: UInt64 = 0
        for offset in 0..<8 { word = word << 8 | (offset < count ? UInt64(self[start + offset]) : 0) }
        return word
    }
}

import Crypto

/// Reads what differs in version 1 of the format: the order of the fields, and checksums that scripts computed, too.
///
/// | bytes | field |
/// |---|---|
/// | 1, 2-5 | state, attempt |
/// | 6-21, 22-57 | owner token, fingerprint |
/// | 58-65, 66-73, 74-81 | end of the lease, first claimed, expires |
/// | 82-89 | the first eight hexadecimal digits of the SHA-1 digest of bytes 0-81 |
/// | 90-97 | completed only: the first eight bytes of the SHA-256 digest of what follows |
enum RecordCodecVersion1 {
    private static let fieldsSize = 82
    private static let checksumSize = 8

    /// Reads the header behind its first byte, the version.
    static func header(_ reader: inout ByteReader, of bytes: [UInt8]) throws(ByteReader.Damage) -> RecordHeader {
        let code: UInt8 = try reader.integer()
        let attempt: UInt32 = try reader.integer()
        guard attempt > 0 else { throw .init(reason: "its attempt number is 0") }
        let (owner, fingerprint) = try RecordCodec.owned(&reader)
        let (leaseEnd, created, expires) = (try reader.timestamp(), try reader.timestamp(), try reader.timestamp())
        let checksum = Array(Insecure.SHA1.hash(data: bytes.prefix(self.fieldsSize))).hexadecimal.utf8
        guard try reader.bytes(self.checksumSize).elementsEqual(checksum.prefix(self.checksumSize)) else {
            throw .init(reason: "its checksum does not match")
        }
        guard let state = RecordState(code: code), state != .free else { throw .init(reason: "its state is unknown") }
        return RecordHeader(
            fingerprint: fingerprint, owner: owner, attempt: Int(attempt), created: created, expires: expires,
            unknownSince: nil, state: state, leaseEnd: state == .claimed ? leaseEnd : nil)
    }

    /// Reads the checksum of the outcome.
    ///
    /// - Returns: Whether it is that of what follows.
    static func checkPayload(_ reader: inout ByteReader) throws(ByteReader.Damage) -> Bool {
        let checksum = try reader.bytes(self.checksumSize)
        return checksum.elementsEqual(Digest32(hashing: Array(reader.remainder)).bytes.prefix(self.checksumSize))
    }
}

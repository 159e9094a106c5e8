import NIOCore
import NIOTestUtils
import Testing

@testable import RESP3

@Suite("Decoding replies")
struct RESPDecoderTests {
    static let samples: [(String, RESPValue)] = [
        ("+OK\r\n", .simpleString("OK")),
        ("+\r\n", .simpleString("")),
        ("-NOSCRIPT No matching script.\r\n", .error(ServerError("NOSCRIPT No matching script."))),
        (":0\r\n", .integer(0)),
        (":-9223372036854775808\r\n", .integer(.min)),
        (":+7\r\n", .integer(7)),
        ("$5\r\nhello\r\n", .bulkString("hello")),
        ("$0\r\n\r\n", .bulkString("")),
        ("$4\r\n\r\n\r\n\r\n", .bulkString("\r\n\r\n")),
        ("$-1\r\n", .null),
        ("*-1\r\n", .null),
        ("_\r\n", .null),
        ("*0\r\n", .array([])),
        ("*2\r\n:1\r\n*2\r\n$1\r\na\r\n*0\r\n", .array([.integer(1), .array([.bulkString("a"), .array([])])])),
        ("%1\r\n+k\r\n%1\r\n:1\r\n_\r\n", .map([.init("k", .map([.init(.integer(1), .null)]))])),
        ("%0\r\n", .map([])),
        ("~2\r\n#t\r\n#f\r\n", .set([.boolean(true), .boolean(false)])),
        (">2\r\n+message\r\n*1\r\n:1\r\n", .push([.simpleString("message"), .array([.integer(1)])])),
        (",1.5\r\n", .double(1.5)),
        (",-1e3\r\n", .double(-1000)),
        (",inf\r\n", .double(.infinity)),
        (",-inf\r\n", .double(-.infinity)),
        ("(-34928903284092385093248509438509438\r\n", .bigNumber("-34928903284092385093248509438509438")),
        ("=8\r\ntxt:text\r\n", .verbatimString(format: "txt", text: "text")),
        ("!9\r\nOOM large\r\n", .error(ServerError("OOM large"))),
        ("|1\r\n+ttl\r\n:3600\r\n:5\r\n", .integer(5)),
        ("*2\r\n|1\r\n+a\r\n*1\r\n+b\r\n:1\r\n:2\r\n", .array([.integer(1), .integer(2)])),
        ("*1\r\n|0\r\n:1\r\n", .array([.integer(1)])),
    ]

    @Test("gives the same values however the input is split")
    func everySplit() throws {
        let pairs = Self.samples.map { ($0.0, [$0.1]) }
        try ByteToMessageDecoderVerifier.verifyDecoder(stringInputOutputPairs: pairs) {
            RESPDecoder(limits: RESPLimits())
        }
        let all = Self.samples.map(\.0).joined()
        for cut in 0...all.utf8.count {
            var reader = Reader()
            let bytes = Array(all.utf8)
            let values = try reader.read(bytes[..<cut]) + reader.read(bytes[cut...])
            #expect(values == Self.samples.map(\.1), "cut at \(cut)")
        }
    }

    @Test("gives NaN for nan")
    func nan() throws {
        var reader = Reader()
        guard case .double(let number) = try reader.read(",nan\r\n").first else {
            Issue.record("It is not a double.")
            return
        }
        #expect(number.isNaN)
    }

    @Test(
        "fails on another protocol",
        arguments: [
            "?", "\r\n", "X1\r\n", "OK\r\n", ":\r\n", ":abc\r\n", ":1.5\r\n", ":9223372036854775808\r\n", ": 1\r\n",
            ":--1\r\n", "$-2\r\n", "$1a\r\n", "$\r\n", "$1\r\nab\r\n", "$1\r\na\n\r", "*-2\r\n", "*x\r\n",
            "%-1\r\n", "~-1\r\n", ">-1\r\n", "#x\r\n", "#\r\n", "#tt\r\n", "_x\r\n", ",x\r\n", ",0x10\r\n", ",\r\n",
            ",infinity\r\n", "(\r\n", "(1.5\r\n", "=3\r\ntxt\r\n", "=4\r\ntxt-\r\n", "=-1\r\n", "!-1\r\n", "+OK\rX",
            "*1\r\n>1\r\n:1\r\n", "$?\r\n", "*?\r\n", "%?\r\n", ";4\r\n", "|-1\r\n", "*1\r\n*1\r\nX",
        ])
    func malformed(input: String) {
        var reader = Reader()
        #expect(throws: ProtocolViolation.self) { try reader.read(input.contains("\r\n") ? input : input + "\r\n") }
    }

    @Test(
        "waits for more on what may become a value",
        arguments: ["", "$", "$5", "$5\r", "$5\r\nhel", "*2\r\n:1\r\n", "+O"])
    func incomplete(input: String) throws {
        var reader = Reader()
        #expect(try reader.read(input).isEmpty)
    }

    @Test(
        "refuses what exceeds a limit as soon as it is announced",
        arguments: [
            "$101\r\n", "*11\r\n", "%6\r\n", "*2\r\n*5\r\n*5\r\n", "*1\r\n*1\r\n*1\r\n*1\r\n",
            "$9223372036854775807\r\n",
            "*9223372036854775807\r\n", "%4611686018427387904\r\n", "%9223372036854775807\r\n",
        ])
    func limits(input: String) {
        var limits = RESPLimits()
        limits.bulkSize = 100
        limits.elements = 10
        limits.depth = 3
        var reader = Reader(limits)
        #expect(throws: ProtocolViolation.self) { try reader.read(input) }
    }

    @Test("refuses a reply that is too large as a whole, and a line without an end")
    func wholeSize() {
        var limits = RESPLimits()
        limits.replySize = 1000
        var reader = Reader(limits)
        let element = "$100\r\n\(String(repeating: "x", count: 100))\r\n"
        #expect(throws: ProtocolViolation.self) { try reader.read("*20\r\n" + String(repeating: element, count: 10)) }

        var other = Reader()
        #expect(throws: ProtocolViolation.self) { try other.read("+" + String(repeating: "x", count: 1 << 17)) }
    }

    @Test("takes any number of replies one after the other, within the limits for one")
    func limitsAreForOneReply() throws {
        var limits = RESPLimits()
        limits.replySize = 20
        limits.elements = 2
        var reader = Reader(limits)
        #expect(try reader.read(String(repeating: "*2\r\n:1\r\n:2\r\n", count: 100)).count == 100)
    }

    @Test("neither traps nor hangs on random bytes", arguments: 0..<8)
    func fuzz(seed: UInt64) {
        var random = SplitMix(seed)
        let samples = Self.samples.map { Array($0.0.utf8) }
        var outcomes = [true: 0, false: 0]
        for _ in 0..<2000 {
            var bytes = (0..<4).flatMap { _ in samples.randomElement(using: &random) ?? [] }
            for _ in 0..<Int.random(in: 0...3, using: &random) { bytes.mutate(using: &random) }
            var reader = Reader()
            let isValid = (try? reader.read(bytes[...])) != nil
            outcomes[isValid, default: 0] += 1
        }
        // Otherwise the mutations would be too weak or too strong to test anything.
        #expect(outcomes[true, default: 0] > 100 && outcomes[false, default: 0] > 100, "seed \(seed)")
    }
}

/// Feeds a decoder as a connection does.
private struct Reader {
    private let processor: NIOSingleStepByteToMessageProcessor<RESPDecoder>

    init(_ limits: RESPLimits = RESPLimits()) {
        let decoder = RESPDecoder(limits: limits)
        self.processor = NIOSingleStepByteToMessageProcessor(decoder, maximumBufferSize: decoder.maximumBufferSize)
    }

    mutating func read(_ input: String) throws -> [RESPValue] {
        try self.read(Array(input.utf8)[...])
    }

    mutating func read(_ bytes: ArraySlice<UInt8>) throws -> [RESPValue] {
        var values: [RESPValue] = []
        try self.processor.process(buffer: ByteBuffer(bytes: bytes)) { values.append($0) }
        return values
    }
}

extension [UInt8] {
    fileprivate mutating func mutate(using random: inout SplitMix) {
        guard let index = self.indices.randomElement(using: &random) else { return }
        switch Int.random(in: 0...2, using: &random) {
        case 0: self[index] = .random(in: 0...255, using: &random)
        case 1: self.remove(at: index)
        default: self.insert(contentsOf: self[index...].prefix(5), at: index)
        }
    }
}

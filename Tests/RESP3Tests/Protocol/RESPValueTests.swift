import NIOCore
import Testing

@testable import RESP3

@Suite("A reply")
struct RESPValueTests {
    @Test("never shows its content", arguments: RESPDecoderTests.samples.map(\.1))
    func redaction(value: RESPValue) {
        let secret = "hunter2"
        let hidden: [RESPValue] = [
            .bulkString(ByteBuffer(string: secret)), .simpleString(ByteBuffer(string: secret)),
            .verbatimString(format: "txt", text: ByteBuffer(string: secret)), .bigNumber("31337"), .integer(31337),
            .double(31337),
        ]
        for nested in [.array(hidden), .map(hidden.map { .init($0, $0) }), .set(hidden), .push(hidden)] + hidden {
            #expect(!"\(nested) \(String(reflecting: [nested]))".contains(secret))
            #expect(!"\(nested) \(String(reflecting: [nested]))".contains("31337"))
        }
        #expect(!"\(value)".isEmpty)
    }

    @Test("is read as what is asked for, in the forms of both protocols")
    func access() {
        #expect(RESPValue.bulkString("12").integer == 12)
        #expect(RESPValue.integer(12).integer == 12)
        #expect(RESPValue.integer(12).string == nil)
        #expect(RESPValue.verbatimString(format: "txt", text: "a").string == "a")
        let pairs = [RESPValue.Pair("a", .integer(1))]
        #expect(RESPValue.map(pairs).pairs == pairs)
        #expect(RESPValue.array(["a", .integer(1)]).pairs == pairs)
        #expect(RESPValue.array(["a"]).pairs == nil)
        #expect(RESPValue.array(["a"]).elements == ["a"])
        #expect(RESPValue.null.elements == nil)
    }

    @Test(
        "that is an error is taken apart",
        arguments: [
            ("NOSCRIPT No matching script.", "NOSCRIPT", "No matching script."),
            ("ERR value is not an integer", "ERR", "value is not an integer"),
            ("OOM", "OOM", ""),
            ("something odd", "ERR", "something odd"),
            ("", "ERR", ""),
            ("MOVED 3999 127.0.0.1:6381", "MOVED", "3999 127.0.0.1:6381"),
            ("ERR unknown command 'X', with args beginning with: 'hunter2'", "ERR", "unknown command 'X'"),
            (
                "ERR Error running script (call to f_1): @user_script:1: @user_script: 1: -OOM command not allowed",
                "OOM", "command not allowed"
            ),
            ("ERR Error running script (call to f_1): @user_script:1: WRONGTYPE no: list", "WRONGTYPE", "no: list"),
            ("@user_script: 9: -OOM command not allowed", "OOM", "command not allowed"),
            (
                "ERR Error running script (call to f_1): @user_script:1: Script attempted", "ERR",
                "Error running script (call to f_1): @user_script:1: Script attempted"
            ),
        ])
    func serverError(line: String, code: String, message: String) {
        let error = ServerError(line)
        #expect(error.code == code)
        #expect(error.message == message)
    }
}

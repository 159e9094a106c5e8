import HTTPTypes
import Hummingbird
import NIOCore
import Testing

@testable import IdemptxProxy

@Suite("The body of a client")
struct ClientBodyTests {
    private static func read(isComplete: Bool) async throws -> String {
        let signals = ClientSignals()
        signals.beginRequest()
        if isComplete { signals.requestEnded() }
        let exchange = ClientExchange(
            connection: ClientConnection(address: nil, isHTTP2: true), signals: signals, expectsContinue: false,
            interim: AsyncStream.makeStream(of: HTTPResponse.self).continuation)
        let body = ClientBody(body: RequestBody(buffer: ByteBuffer(string: "hello")), exchange: exchange)
        return try await body.reduce(into: "") { $0 += String(buffer: $1) }
    }

    @Test("ends where the connection has seen its end")
    func complete() async throws {
        #expect(try await Self.read(isComplete: true) == "hello")
    }

    @Test("has no end where only the connection, or the task that reads it, has ended")
    func cutOff() async throws {
        await #expect(throws: ClientBody.CutOff.self) { try await Self.read(isComplete: false) }
    }
}

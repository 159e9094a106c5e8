import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1

/// A server on this machine, and a client of it.
struct LocalServer {
    let port: Int

    init(port: Int) {
        self.port = port
    }

    /// Finds the address in what a process prints when it listens.
    init?(announcedIn text: String, after label: String = "") {
        guard let start = text.range(of: label.isEmpty ? "http" : label)?.lowerBound,
            let address = text[start...].firstMatch(of: /https?:\/\/127\.0\.0\.1:(\d+)/), let port = Int(address.1)
        else { return nil }
        self.init(port: port)
    }

    func send(
        _ method: HTTPMethod,
        _ path: String,
        headers: HTTPHeaders = [:],
        body: String? = nil,
        timeout: TimeAmount = .seconds(60)
    ) async throws -> Response {
        var request = HTTPClientRequest(url: "http://127.0.0.1:\(self.port)\(path)")
        request.method = method
        request.headers = headers
        if let body { request.body = .bytes(ByteBuffer(string: body)) }
        let response = try await HTTPClient.shared.execute(request, timeout: timeout)
        let content = try await response.body.collect(upTo: 1 << 20)
        return Response(
            status: Int(response.status.code), headers: response.headers.map { "\($0.name): \($0.value)" },
            body: String(buffer: content))
    }
}

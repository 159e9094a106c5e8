import HTTPTypes

/// A request whose fingerprint is computed.
struct Sample: Sendable {
    let name: String
    let head: HTTPRequest
    let body: [UInt8]
    let isJSON: Bool

    private init(_ name: String, contentType: String, body: [UInt8]) {
        self.name = name
        self.head = HTTPRequest(
            method: .post, scheme: "https", authority: "api.example.com", path: "/orders?dry=no",
            headerFields: [
                .contentType: contentType, .contentLength: "\(body.count)", .accept: "*/*", .userAgent: "benchmark/1.0",
                .acceptEncoding: "gzip, deflate",
            ])
        self.body = body
        self.isJSON = contentType == "application/json"
    }

    static let all: [Sample] =
        [60, 1 << 10, 16 << 10].map { size in
            Sample("json \(size) B", contentType: "application/json", body: json(size))
        } + [
            Sample("form 1024 B", contentType: "application/x-www-form-urlencoded", body: form(1 << 10)),
            Sample("multipart 1024 B", contentType: "multipart/form-data; boundary=part", body: multipart(1 << 10)),
            Sample(
                "bytes 1024 B", contentType: "application/octet-stream",
                body: Array(repeating: UInt8(ascii: "x"), count: 1 << 10)),
        ]

    /// An order with as many lines as fit, its members in no particular order, as programs write them.
    private static func json(_ size: Int) -> [UInt8] {
        let head = #"{"item":"book","quantity":1,"amount":4200,"currency":"EUR""#
        guard size > 200 else { return Array((head + "}").utf8) }
        var text = head + #","lines":["#
        var number = 0
        while text.utf8.count < size - 100 {
            text += number == 0 ? "" : ","
            text += #"{"sku":"A-\#(1000 + number)","name":"Ünit \#(number)","price":\#(number * 100).50,"gift":false}"#
            number += 1
        }
        return Array((text + "]}").utf8)
    }

    private static func form(_ size: Int) -> [UInt8] {
        var fields: [String] = []
        while fields.joined(separator: "&").utf8.count < size - 30 {
            fields.append("field\(fields.count)=value+%C3%BC+\(fields.count)")
        }
        return Array(fields.joined(separator: "&").utf8)
    }

    private static func multipart(_ size: Int) -> [UInt8] {
        var text = ""
        var number = 0
        while text.utf8.count < size - 100 {
            text += "--part\r\nContent-Disposition: form-data; name=\"field\(number)\"\r\n\r\nvalue \(number)\r\n"
            number += 1
        }
        return Array((text + "--part--\r\n").utf8)
    }
}

import HTTPTypes
import NIOHTTP1

// Field by field, so that order, repeats and spelling stay as they are.

extension HTTPFields {
    init(_ headers: HTTPHeaders) {
        self.init()
        self.reserveCapacity(headers.count)
        for (name, value) in headers {
            guard let name = HTTPField.Name(name) else { continue }
            self.append(HTTPField(name: name, value: value))
        }
    }
}

extension HTTPHeaders {
    init(_ fields: some Sequence<HTTPField>) {
        self.init(fields.map { ($0.name.rawName, $0.value) })
    }
}

extension HTTPResponse {
    init(_ head: HTTPResponseHead) {
        self.init(status: Status(head.status), headerFields: HTTPFields(head.headers))
    }
}

extension HTTPResponse.Status {
    init(_ status: HTTPResponseStatus) {
        self.init(code: Int(status.code), reasonPhrase: status.reasonPhrase)
    }
}

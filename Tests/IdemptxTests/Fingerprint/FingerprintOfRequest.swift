import HTTPTypes
import Idemptx

/// The fingerprint of a request that differs from the usual one in what is given.
func fingerprint(
    _ body: String = "",
    type: String? = "application/json",
    method: HTTPRequest.Method = .post,
    path: String = "/charges",
    host: String? = "a",
    headers: HTTPFields = [:],
    recipe: FingerprintRecipe = FingerprintRecipe(),
    chunk: Int = .max
) -> Fingerprint {
    var fields = headers
    if let type { fields[.contentType] = type }
    var builder = FingerprintBuilder(
        head: HTTPRequest(method: method, scheme: "https", authority: host, path: path, headerFields: fields),
        recipe: recipe)
    var rest = Array(body.utf8)[...]
    while !rest.isEmpty {
        builder.update(Array(rest.prefix(chunk)))
        rest = rest.dropFirst(min(chunk, rest.count))
    }
    return builder.finalize()
}

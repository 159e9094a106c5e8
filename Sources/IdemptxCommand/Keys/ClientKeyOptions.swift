import ArgumentParser
import HTTPTypes
import Idemptx

/// A key as a client chose it, and what else makes the name of its record.
struct ClientKeyOptions: ParsableArguments {
    @Option(help: "The key that a client chose.")
    var key: String?

    @Option(
        help:
            "The value of a scope header in that client's requests, once for each of them; none stands for a request without."
    )
    var scopeValue: [String] = []

    @Option(help: "A header by which callers are told apart. (default: Authorization)")
    var scopeHeader: [String] = []

    @Option(help: "The principal whose key it is, in an application that names principals.")
    var principal: String?

    @Flag(help: "The key belongs to no scope.")
    var unscoped = false

    @Option(help: "The namespace of the key. (default: none)")
    var namespace: String?

    func validate() throws {
        let ways = [self.principal != nil, self.unscoped, !self.scopeValue.isEmpty || !self.scopeHeader.isEmpty]
        guard ways.count(where: \.self) <= 1 else {
            throw ValidationError("Name the scope in one way: by --scope-value, --principal or --unscoped.")
        }
    }

    /// The name of its record in a store.
    func storageKey(_ store: StoreOptions) throws -> StorageKey {
        let settings = try store.settings(
            flags: ["scopeHeader": self.scopeHeader.commaSeparated, "namespace": self.namespace])
        let namespace = try settings.value("namespace", as: String.self) ?? ""
        let key: IdempotencyKey
        do {
            key = try IdempotencyKey(self.key ?? "")
        } catch {
            throw CommandError("--key: this is no valid key: \(error.rawValue.replacing("_", with: " ")).")
        }
        return StorageKey(namespace: namespace, scope: try self.scope(settings), key: key)
    }

    private func scope(_ settings: Settings) throws -> Scope {
        if self.unscoped { return .unscoped }
        if let principal { return .principal(principal) }
        let names = try settings.value("scopeHeader", default: HeaderNameList([.authorization])).content
        guard self.scopeValue.isEmpty || self.scopeValue.count == names.count else {
            throw CommandError("--scope-value: there must be one for each scope header, in their order.")
        }
        let fields = zip(names, self.scopeValue).map { HTTPField(name: $0, value: $1) }
        return .headers(names, in: HTTPFields(fields))
    }
}

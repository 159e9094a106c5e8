import Idemptx

extension RedisReply {
    /// The reply, unless it is a refusal.
    ///
    /// - Throws: `StoreError` that tells what may be done about it. Nothing has changed: a server refuses a command
    ///   before it runs, and whatever can fail in the scripts of ``RecordScripts`` comes no later than their first write.
    func get() throws(StoreError) -> RedisReply {
        guard case .error(let message) = self else { return self }
        throw StoreError(refusal: message)
    }
}

extension StoreError {
    /// What a server refused.
    ///
    /// Only the first word of its message is kept: the rest can quote what was sent.
    init(refusal message: String) {
        let word = String(message.prefix { $0 != " " })
        switch word {
        case "CORRUPT", "WRONGTYPE":
            self.init(.corruptRecord, "A record cannot be read: Redis replied \(word).")
        case "NOAUTH", "WRONGPASS", "NOPERM", "ERR":
            self.init(.misconfigured, "Redis refused a command: \(word).")
        default:
            // OOM, LOADING, BUSY, READONLY, MISCONF, NOREPLICAS, CLUSTERDOWN and the like pass.
            self.init(.unavailable, "Redis refused a command for now: \(word).")
        }
    }
}

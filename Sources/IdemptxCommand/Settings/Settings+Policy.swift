import Idemptx

extension Settings {
    /// The rules by which requests are made idempotent.
    mutating func policy(requiringKeys required: Bool) throws(SettingError) -> IdempotencyPolicy {
        var policy = IdempotencyPolicy()
        policy.mode = try self.value("mode", default: policy.mode)
        policy.methods = try self.value("methods", default: MethodList(policy.methods)).methods
        policy.required = try self.value("requireKey", default: required)
        policy.keySource = try self.value("keyFrom", default: KeyLocation.standard).source
        policy.namespace = try self.value("namespace", as: String.self) ?? policy.namespace
        policy.keyTTL = try self.value("keyTTL", default: PositiveDuration(policy.keyTTL)).duration
        policy.lease = try self.value("lease", default: LeaseDuration(policy.lease)).duration
        policy.waitTimeout = try self.value("waitTimeout", default: policy.waitTimeout)
        policy.replay = try self.value("replayPolicy", default: ReplayRule.atMostOnce).policy
        policy.onAbandoned = try self.value("onAbandoned", default: UnknownOutcomeChoice.rerun).rule
        policy.onStoreFailure = try self.value("onStoreFailure", default: policy.onStoreFailure)
        policy.maxRequestBody = try self.value("maxRequestBody", default: ByteSize(policy.maxRequestBody)).bytes
        policy.maxResponseBody = try self.value("maxResponseBody", default: ByteSize(policy.maxResponseBody)).bytes
        policy.bodyBudget = try self.value("bodyBudget", default: ByteSize(policy.bodyBudget)).bytes
        return policy
    }
}

import Idemptx

/// By which rules requests are made idempotent.
enum RuleSection: SettingSection {
    static let title = "Rules, which the file can also set for some paths"
    static let change = """
        All of these may also stand in a rule of `routes`. A changed value takes effect on `SIGHUP`, for the requests that \
        begin from then on.
        """

    static let settings: [Setting<RuleSettings>] = Self.keys + Self.attempts + Self.outcomes + Self.limits
    static var rows: [SettingRow] { Self.settings.map(\.row) }

    private static let keys: [Setting<RuleSettings>] = [
        Setting("mode", \.policy.mode, "enforce; observe (everything runs, and is counted); or off."),
        Setting("methods", \.policy.methods, as: MethodList.self, "The methods that are guarded."),
        Setting("requireKey", \.policy.required, "Refuses guarded requests without a key."),
        Setting("keyFrom", \.keyFrom, "Where the key is; several headers are the key together."),
        Setting("maxKeyLength", \.policy.maxKeyLength, as: PositiveInt.self, "The longest key, in characters."),
        Setting("namespace", \.namespace, "Separates the keys of several APIs that share a store."),
        Setting(
            "validateSignature", \.policy.validateSignature, "Refuses a key that was used for another request."),
        Setting(
            "fingerprintIgnore", \.fingerprintIgnore, as: PointerList.self,
            "Members of JSON bodies that may differ in a retry, such as /attempts,/meta/sent_at."),
        Setting(
            "fingerprintHeaders", \.fingerprintHeaders, as: HeaderNameSet.self,
            "Headers that may not differ in a retry, besides Content-Type."),
        Setting("fingerprintHost", \.fingerprintHost, "A retry has to name the same host."),
        Setting(
            "fingerprintBody", \.fingerprintBody, "How bodies are compared: by what they say, or byte for byte."),
    ]

    private static let attempts: [Setting<RuleSettings>] = [
        Setting(
            "lease", \.policy.lease, as: LeaseDuration.self,
            "After which time without a sign of life the outcome of an operation is unknown."),
        Setting(
            "maxRunTime", \.policy.maxRunTime, as: PositiveDuration.self,
            "How long the API's response to a guarded request is waited for; 10 minutes if nothing is said."),
        Setting("waitTimeout", \.policy.waitTimeout, "How long a request waits for another with its key."),
        Setting("maxWaiters", \.policy.maxWaiters, as: PositiveInt.self, "How many requests may wait at a time."),
        Setting(
            "maxWaitersPerKey", \.policy.maxWaitersPerKey, as: PositiveInt.self,
            "How many requests may wait for one key at a time."),
        Setting(
            "retryHint", \.policy.retryHint, as: PositiveDuration.self,
            "In which time a retry makes sense, as Retry-After says; at least 1s."),
        Setting(
            "onAbandoned", \.onAbandoned, "What happens to an operation whose outcome is unknown: rerun or refuse."),
        Setting(
            "unresolvedRetention", \.policy.unresolvedRetention, as: PositiveDuration.self,
            "How long an unknown outcome is remembered under refuse; for good if nothing is said."),
        Setting("onStoreFailure", \.policy.onStoreFailure, "What happens without a store: refuse or bypass."),
        Setting(
            "claimTimeout", \.policy.claimTimeout, as: PositiveDuration.self,
            "How long one call to the store for a key may take."),
        Setting("claimRetryTime", \.policy.claimRetryTime, "How long a failed call for a key is tried again."),
    ]

    private static let outcomes: [Setting<RuleSettings>] = [
        Setting("keyTTL", \.policy.keyTTL, as: PositiveDuration.self, "How long responses are kept."),
        Setting(
            "replayPolicy", \.replay,
            "Which responses are kept: at-most-once, retry-server-errors or successes-only."),
        Setting(
            "keepStatuses", \.keepStatuses, as: StatusList.self,
            "Statuses whose responses are kept, whatever the policy says."),
        Setting(
            "releaseStatuses", \.releaseStatuses, as: StatusList.self,
            "Statuses that say that nothing was done: the key is freed."),
        Setting(
            "tombstoneStatuses", \.tombstoneStatuses, as: StatusList.self,
            "Statuses of operations that are done, but whose responses are not kept."),
        Setting(
            "unknownStatuses", \.unknownStatuses, as: StatusList.self,
            "Statuses that leave it unknown whether anything was done."),
        Setting(
            "honorNoStore", \.policy.honorsNoStore,
            "A response with Cache-Control: no-store is not kept; its retries get 409."),
        Setting(
            "keepHeaders", \.keepHeaders, as: HeaderNameSet.self,
            "The only header fields of a response that are kept; all if nothing is said."),
        Setting(
            "dropHeaders", \.dropHeaders, as: HeaderNameSet.self,
            "Header fields of a response that are not kept, besides Set-Cookie and others that tell of the first request only."
        ),
        Setting(
            "completionRetryTime", \.policy.completionRetryTime,
            "How long a client waits for the store to take its response."),
        Setting(
            "problemTypeBase", \.policy.problemTypeBase, as: ProblemTypeBase.self,
            "What the type of a problem starts with."),
    ]

    private static let limits: [Setting<RuleSettings>] = [
        Setting(
            "maxRequestBody", \.policy.maxRequestBody, as: ByteSize.self,
            "The largest body of a guarded request; a larger one gets 413."),
        Setting(
            "maxResponseBody", \.policy.maxResponseBody, as: ByteSize.self,
            "The largest body of a response that is kept; the retries of a larger one get 409."),
        Setting(
            "bodyBudget", \.policy.bodyBudget, as: ByteSize.self,
            "How much the bodies of all requests may take together while they are kept; one more gets 503."),
        Setting(
            "maxUnstored", \.policy.maxUnstoredBytes, as: ByteSize.self,
            "How much the responses may take that the store has not taken yet."),
        Setting(
            "replayCache", \.replayCache, as: ByteSize.self,
            "How much of kept responses is held in memory, too; none if nothing is said."),
        Setting(
            "replayCacheAge", \.policy.replayCacheTime, as: PositiveDuration.self,
            "How long; so long a replay does not notice that an operator has removed its record."),
    ]
}

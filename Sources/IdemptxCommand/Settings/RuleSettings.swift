import HTTPTypes
import Idemptx

/// Rules as settings say them, and the policy that they make.
struct RuleSettings: SettingTarget {
    /// What needs no translation.
    ///
    /// A request without a key passes: the proxy is in front of an API that it does not own.
    var policy = IdempotencyPolicy { $0.required = false }

    var keyFrom = KeyLocation.standard
    var onAbandoned = UnknownOutcomeChoice.rerun
    var replay = ReplayRule.atMostOnce
    var keepStatuses: Set<Int> = []
    var releaseStatuses: Set<Int> = []
    var tombstoneStatuses: Set<Int> = []
    var unknownStatuses: Set<Int> = []
    var replayCache: Int?
    var fingerprintIgnore: [JSONPointer] = []
    var fingerprintHeaders: [HTTPField.Name] = []
    var fingerprintHost = FingerprintRecipe().fingerprintHost
    var fingerprintBody = BodyComparisonChoice.structure
    var dropHeaders: [HTTPField.Name] = []
    var keepHeaders: [HTTPField.Name]?

    var namespace: String? {
        get { self.policy.namespace.isEmpty ? nil : self.policy.namespace }
        set { self.policy.namespace = newValue ?? "" }
    }

    init() {}

    private var statuses: [(name: String, statuses: Set<Int>, disposition: Disposition)] {
        [
            ("keepStatuses", self.keepStatuses, .keep), ("releaseStatuses", self.releaseStatuses, .release),
            ("tombstoneStatuses", self.tombstoneStatuses, .tombstone),
            ("unknownStatuses", self.unknownStatuses, .unknown),
        ]
    }

    /// The policy.
    ///
    /// - Parameter settings: What these rules were read from.
    /// - Returns: The policy.
    /// - Throws: An error if two of them contradict each other.
    func policy(readFrom settings: Settings) throws(SettingError) -> IdempotencyPolicy {
        var policy = self.policy
        policy.keySource = self.keyFrom.source
        policy.onAbandoned = self.onAbandoned.rule
        policy.replay = self.replay.policy
        policy.dispositions = try self.dispositions(readFrom: settings)
        policy.maxReplayCacheBytes = self.replayCache ?? 0
        policy.fingerprint = FingerprintRecipe(
            headers: self.fingerprintHeaders, comparesStructure: self.fingerprintBody == .structure,
            fingerprintHost: self.fingerprintHost, ignoredMembers: self.fingerprintIgnore)
        policy.droppedHeaders.formUnion(self.dropHeaders)
        policy.keptHeaders = self.keepHeaders.map { Set($0) }
        return policy
    }

    private func dispositions(readFrom settings: Settings) throws(SettingError) -> [Int: Disposition] {
        var names: [Int: String] = [:]
        var dispositions: [Int: Disposition] = [:]
        for (name, statuses, disposition) in self.statuses {
            for status in statuses.sorted() {
                if let other = names.updateValue(name, forKey: status) {
                    throw settings.error(name, "\(status) is in \(SettingRow.flag(of: other)), too.")
                }
                dispositions[status] = disposition
            }
        }
        return dispositions
    }
}

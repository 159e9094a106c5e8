/// What a claim asks for: claims of one subject have the same result.
struct ClaimSubject: Hashable {
    let key: StorageKey
    let fingerprint: Fingerprint
    let comparesFingerprint: Bool
    let onAbandoned: UnknownOutcomeRule.Kind

    init(_ request: ClaimRequest) {
        self.key = request.key
        self.fingerprint = request.fingerprint
        self.comparesFingerprint = request.comparesFingerprint
        self.onAbandoned = request.onAbandoned
    }
}

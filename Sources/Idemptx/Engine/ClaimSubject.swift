/// What a claim asks for, whoever makes it: claims of one subject have the same result.
struct ClaimSubject: Hashable {
    let key: StorageKey
    let fingerprint: Fingerprint
    let comparesFingerprint: Bool
    let onAbandoned: AbandonedRule

    init(_ request: ClaimRequest) {
        self.key = request.key
        self.fingerprint = request.fingerprint
        self.comparesFingerprint = request.comparesFingerprint
        self.onAbandoned = request.onAbandoned
    }
}

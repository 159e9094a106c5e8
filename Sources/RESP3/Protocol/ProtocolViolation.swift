/// The peer sent what no Redis server sends.
///
/// The sentence says what is wrong with it and quotes none of it.
struct ProtocolViolation: Error, Hashable {
    let sentence: String

    init(_ sentence: String) {
        self.sentence = sentence
    }
}

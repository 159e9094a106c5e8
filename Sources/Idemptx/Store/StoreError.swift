/// A store could not do what it was asked.
///
/// Neither the message nor the description holds a key, an identity, a body or a credential.
public struct StoreError: Error, Sendable {
    /// What kind of failure it is, and therefore what may be done about it.
    public enum Code: String, Hashable, Sendable {
        /// The store was not reached, or others had the record for too long; nothing has changed.
        case unavailable
        /// The call left this process and no reply came back. It may have taken effect.
        ///
        /// Every call of the store contract can be repeated with the same owner token.
        case replyLost
        /// The record is damaged, or of a format that this version does not know. Nothing has changed.
        case corruptRecord
        /// The outcome is larger than the store takes. Nothing has changed.
        case recordTooLarge
        /// The store cannot work the way it is set up, such as a file that is not a database.
        case misconfigured
        /// An operation ended the transaction that it was given: what it wrote may be committed without a record of it.
        case transactionEnded
    }

    /// What kind of failure it is.
    public let code: Code

    /// One sentence for a person.
    package let message: String

    /// What the store's own library threw.
    public let underlyingError: (any Error)?

    /// Whether others had the record for too long: other records may be usable.
    let isRecordBusy: Bool

    /// Creates an error.
    ///
    /// - Parameters:
    ///   - code: What kind of failure it is.
    ///   - message: One sentence for a person, without keys, identities, bodies or credentials.
    ///   - underlyingError: What the store's own library threw.
    public init(_ code: Code, _ message: String, underlyingError: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.underlyingError = underlyingError
        self.isRecordBusy = false
    }

    /// Creates an error about a record that others had for too long; nothing has changed.
    ///
    /// - Parameters:
    ///   - message: One sentence for a person, as for all errors.
    ///   - underlyingError: What the store's own library threw.
    package init(recordBusy message: String, underlyingError: (any Error)? = nil) {
        self.code = .unavailable
        self.message = message
        self.underlyingError = underlyingError
        self.isRecordBusy = true
    }
}

extension StoreError {
    /// An error that some store threw.
    ///
    /// Nothing is known about one that is not a ``StoreError``, so the call may have taken effect.
    init(wrapping error: any Error) {
        self =
            error as? StoreError
            ?? StoreError(.replyLost, "The store threw a \(type(of: error)).", underlyingError: error)
    }

    /// Whether the same call may succeed if it is repeated.
    var isTransient: Bool { self.code == .unavailable || self.code == .replyLost }

    /// Whether the store as a whole cannot be used.
    ///
    /// An error about one record is no outage: a record exists, so its operation may have run, or be running.
    var isOutage: Bool { !self.isRecordBusy && (self.isTransient || self.code == .misconfigured) }
}

extension StoreError: CustomStringConvertible {
    /// Code and message.
    ///
    /// The underlying error is left out, since it may quote what it was given.
    public var description: String { "StoreError(\(self.code)): \(self.message)" }
}

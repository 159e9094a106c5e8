/// A user name and a password.
///
/// Neither appears in the description.
package struct Credentials: Hashable, Sendable {
    /// The user; `nil` is the server's default user.
    package let user: String?
    /// The password.
    package let password: String

    /// Creates credentials.
    package init(user: String? = nil, password: String) {
        self.user = user
        self.password = password
    }
}

extension Credentials: CustomStringConvertible, CustomDebugStringConvertible {
    /// A constant.
    package var description: String { "credentials" }

    /// A constant.
    package var debugDescription: String { self.description }
}

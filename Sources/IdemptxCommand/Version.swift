/// Which version of the package this is.
enum Version {
    static let current = "0.1.0"
}

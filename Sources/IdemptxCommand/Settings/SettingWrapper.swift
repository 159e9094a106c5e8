/// The text of a value of another type.
protocol SettingWrapper: SettingValue {
    associatedtype Content

    var content: Content { get }

    init(_ content: Content)
}

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A moment as header fields have it: `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section 5.6.7).
struct HTTPDate {
    private static let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    private static let secondsPerDay = 24 * 60 * 60

    let text: String

    /// The seconds since 1970.
    static var now: Int { Int(time(nil)) }

    /// - Parameter seconds: The seconds since 1970, not before.
    init(secondsSince1970 seconds: Int) {
        var (day, year, month) = (seconds / Self.secondsPerDay, 1970, 0)
        let weekday = Self.weekdays[day % 7]
        while day >= Self.days(of: year) {
            day -= Self.days(of: year)
            year += 1
        }
        while day >= Self.days(of: month, in: year) {
            day -= Self.days(of: month, in: year)
            month += 1
        }
        let time = [seconds / 3600 % 24, seconds / 60 % 60, seconds % 60].map(Self.twoDigits).joined(separator: ":")
        self.text = "\(weekday), \(Self.twoDigits(day + 1)) \(Self.months[month]) \(year) \(time) GMT"
    }

    private static func isLeap(_ year: Int) -> Bool {
        year.isMultiple(of: 4) && (!year.isMultiple(of: 100) || year.isMultiple(of: 400))
    }

    private static func days(of year: Int) -> Int { self.isLeap(year) ? 366 : 365 }

    private static func days(of month: Int, in year: Int) -> Int {
        [31, self.isLeap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month]
    }

    private static func twoDigits(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
}

import Foundation
import GRDB

extension Database {
    /// Waits a moment for another process that is writing.
    ///
    /// SQLite does not say when its lock is free. This blocks the thread, which must be that of the database.
    static func pauseForOtherWriter() {
        Thread.sleep(forTimeInterval: 0.002)
    }
}

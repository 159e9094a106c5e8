import Foundation
import Logging

/// Where commands log: standard error, as much as `LOG_LEVEL` says.
enum StandardErrorLog {
    static func handler(label: String) -> any LogHandler {
        var handler = StreamLogHandler.standardError(label: label)
        handler.logLevel =
            ProcessInfo.processInfo.environment["LOG_LEVEL"].flatMap { Logger.Level(rawValue: $0) } ?? .info
        return handler
    }
}

#if Proxy
import Foundation
import IdemptxProxy
import Logging
import ServiceLifecycle

/// Has the certificate read again when its files change.
struct CertificateWatcher: Service {
    /// What a changed file differs in; a link may come to point at another one.
    private struct Stamp: Equatable {
        let path: String
        let modified: Date?
        let size: Int?

        init(path: String) {
            self.path = URL(filePath: path).resolvingSymlinksInPath().path
            let attributes = try? FileManager.default.attributesOfItem(atPath: self.path)
            self.modified = attributes?[.modificationDate] as? Date
            self.size = attributes?[.size] as? Int
        }
    }

    private let certificate: ServerCertificate
    private let interval: Duration
    private let loaded: [Stamp]
    /// Called when the files have changed.
    var reload: @Sendable () -> Void = {}

    /// Watches from now on; whoever reads the files for the first time does it afterwards.
    init(_ certificate: ServerCertificate, every interval: Duration = .seconds(2)) {
        self.certificate = certificate
        self.interval = interval
        self.loaded = Self.stamps(of: certificate)
    }

    func run() async throws {
        do {
            try await cancelWhenGracefulShutdown { try await self.watch() }
        } catch is CancellationError {
            return
        }
    }

    private func watch() async throws {
        var loaded = self.loaded
        var last = loaded
        while true {
            try await Task.sleep(for: self.interval)
            let stamps = Self.stamps(of: self.certificate)
            // Twice the same: both files have been written, not only the first.
            if stamps != loaded, stamps == last {
                loaded = stamps
                self.reload()
            }
            last = stamps
        }
    }

    private static func stamps(of certificate: ServerCertificate) -> [Stamp] {
        [Stamp(path: certificate.chainPath), Stamp(path: certificate.keyPath)]
    }
}
#endif

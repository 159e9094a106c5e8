// swift-tools-version: 6.3
import PackageDescription

let package = Package(
    name: "idemptx",
    platforms: [.macOS(.v15), .iOS(.v18), .tvOS(.v18), .visionOS(.v2)],
    products: [
        .library(name: "Idemptx", targets: ["Idemptx"]),
        .library(name: "IdemptxSQLite", targets: ["IdemptxSQLite"]),
        .library(name: "IdemptxRedis", targets: ["IdemptxRedis"]),
        .library(name: "IdemptxPostgres", targets: ["IdemptxPostgres"]),
        .library(name: "IdemptxHummingbird", targets: ["IdemptxHummingbird"]),
        .library(name: "IdemptxProxy", targets: ["IdemptxProxy"]),
        .library(name: "IdemptxTesting", targets: ["IdemptxTesting"]),
        .executable(name: "idemptx", targets: ["IdemptxMain"]),
    ],
    traits: [
        .trait(name: "SQLite", description: "The SQLite store (adds GRDB)."),
        .trait(name: "Redis", description: "The Redis store (adds SwiftNIO)."),
        .trait(name: "Hummingbird", description: "The Hummingbird middleware (adds Hummingbird and SwiftNIO)."),
        .trait(
            name: "Proxy",
            description: "The reverse proxy (adds SwiftNIO's HTTP/2 and TLS).",
            enabledTraits: ["Hummingbird"]
        ),
        .trait(
            name: "CommandLine",
            description: "The idemptx executable; the traits Proxy and Redis add to it.",
            enabledTraits: ["SQLite", "Hummingbird"]
        ),
        .trait(name: "PostgresNIO", description: "The PostgreSQL store over PostgresNIO's client (adds PostgresNIO)."),
        .trait(
            name: "Valkey",
            description: "The Redis store over valkey-swift's client (adds valkey-swift).",
            enabledTraits: ["Redis"]
        ),
        .trait(name: "Vapor", description: "The Vapor middleware (adds Vapor)."),
        .default(enabledTraits: ["SQLite", "Redis", "Hummingbird", "Proxy", "CommandLine"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0", traits: []),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.7.3"),
        .package(url: "https://github.com/apple/swift-http-structured-headers", from: "1.7.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0", traits: []),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        .target(
            name: "Idemptx",
            dependencies: [
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "RawStructuredFieldValues", package: "swift-http-structured-headers"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
            ]
        ),
        .target(
            name: "IdemptxSQLite",
            dependencies: [
                "Idemptx",
                .product(name: "GRDB", package: "GRDB.swift", condition: .when(traits: ["SQLite"])),
                .product(name: "GRDBSQLite", package: "GRDB.swift", condition: .when(traits: ["SQLite"])),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]
        ),
        .target(
            name: "RESP3",
            dependencies: [
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio", condition: .when(traits: ["Redis"])),
                .product(name: "NIOPosix", package: "swift-nio", condition: .when(traits: ["Redis"])),
                .product(name: "NIOSSL", package: "swift-nio-ssl", condition: .when(traits: ["Redis"])),
            ]
        ),
        .target(
            name: "IdemptxRedis",
            dependencies: [
                "Idemptx", "RESP3",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "NIOCore", package: "swift-nio", condition: .when(traits: ["Redis"])),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]
        ),
        .target(
            name: "LibPQ",
            dependencies: [
                .product(name: "Logging", package: "swift-log")
            ]
        ),
        .target(
            name: "IdemptxPostgres",
            dependencies: [
                "Idemptx", "LibPQ",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            resources: [.embedInCode("Schema/version1.sql")]
        ),
        .target(
            name: "IdemptxHummingbird",
            dependencies: [
                "Idemptx",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird", condition: .when(traits: ["Hummingbird"])),
                .product(name: "Logging", package: "swift-log"),
            ]
        ),
        .target(
            name: "HTTPProxy",
            dependencies: [
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio", condition: .when(traits: ["Proxy"])),
                .product(name: "NIOHPACK", package: "swift-nio-http2", condition: .when(traits: ["Proxy"])),
                .product(name: "NIOHTTP1", package: "swift-nio", condition: .when(traits: ["Proxy"])),
                .product(name: "NIOHTTP2", package: "swift-nio-http2", condition: .when(traits: ["Proxy"])),
                .product(name: "NIOPosix", package: "swift-nio", condition: .when(traits: ["Proxy"])),
                .product(name: "NIOSSL", package: "swift-nio-ssl", condition: .when(traits: ["Proxy"])),
                .product(name: "NIOTLS", package: "swift-nio", condition: .when(traits: ["Proxy"])),
            ]
        ),
        .target(
            name: "IdemptxProxy",
            dependencies: [
                "HTTPProxy", "Idemptx",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird", condition: .when(traits: ["Proxy"])),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "NIOCore", package: "swift-nio", condition: .when(traits: ["Proxy"])),
                .product(name: "NIOEmbedded", package: "swift-nio", condition: .when(traits: ["Proxy"])),
                .product(name: "NIOHTTP1", package: "swift-nio", condition: .when(traits: ["Proxy"])),
                .product(name: "NIOHTTP2", package: "swift-nio-http2", condition: .when(traits: ["Proxy"])),
                .product(name: "NIOHTTPCompression", package: "swift-nio-extras", condition: .when(traits: ["Proxy"])),
                .product(name: "NIOPosix", package: "swift-nio", condition: .when(traits: ["Proxy"])),
                .product(name: "NIOSSL", package: "swift-nio-ssl", condition: .when(traits: ["Proxy"])),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]
        ),
        .target(
            name: "IdemptxTesting",
            dependencies: [
                "Idemptx",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(
                    name: "HummingbirdTesting", package: "hummingbird", condition: .when(traits: ["Hummingbird"])),
                .product(name: "NIOCore", package: "swift-nio", condition: .when(traits: ["Hummingbird"])),
            ]
        ),
        .executableTarget(name: "IdemptxMain", dependencies: ["IdemptxCommand"]),
        .target(
            name: "IdemptxCommand",
            dependencies: [
                "Idemptx", "IdemptxHummingbird", "IdemptxPostgres", "IdemptxSQLite",
                .target(name: "IdemptxProxy", condition: .when(traits: ["Proxy"])),
                .target(name: "IdemptxRedis", condition: .when(traits: ["Redis"])),
                .product(
                    name: "ArgumentParser", package: "swift-argument-parser",
                    condition: .when(traits: ["CommandLine"])),
                .product(
                    name: "Configuration", package: "swift-configuration",
                    condition: .when(traits: ["CommandLine"])),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "GRDB", package: "GRDB.swift", condition: .when(traits: ["CommandLine"])),
                .product(name: "Hummingbird", package: "hummingbird", condition: .when(traits: ["CommandLine"])),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "NIOCore", package: "swift-nio", condition: .when(traits: ["CommandLine"])),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            resources: [.embedInCode("Demo/Page/demo.html")]
        ),
        .target(
            name: "TestSupport",
            dependencies: [
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            path: "Tests/TestSupport"
        ),
        .target(
            name: "RedisServerTesting",
            dependencies: [
                "RESP3", "TestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            path: "Tests/RedisServerTesting"
        ),
        .target(
            name: "PostgresServerTesting",
            dependencies: ["LibPQ", "TestSupport"],
            path: "Tests/PostgresServerTesting"
        ),
        .target(
            name: "StoreTestSupport",
            dependencies: [
                "Idemptx", "TestSupport",
                .product(name: "HTTPTypes", package: "swift-http-types"),
            ],
            path: "Tests/StoreTestSupport"
        ),
        .testTarget(
            name: "LibPQTests",
            dependencies: ["LibPQ", "PostgresServerTesting", "TestSupport"]
        ),
        .testTarget(
            name: "RESP3Tests",
            dependencies: [
                "RESP3", "RedisServerTesting", "TestSupport",
                .product(name: "InMemoryLogging", package: "swift-log"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOTestUtils", package: "swift-nio"),
            ]
        ),
        .testTarget(
            name: "IdemptxRedisTests",
            dependencies: [
                "Idemptx", "IdemptxRedis", "IdemptxTesting", "RESP3", "RedisServerTesting", "StoreTestSupport",
                "TestSupport",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "InMemoryLogging", package: "swift-log"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "MetricsTestKit", package: "swift-metrics"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]
        ),
        .testTarget(
            name: "IdemptxPostgresTests",
            dependencies: [
                "Idemptx", "IdemptxPostgres", "IdemptxTesting", "LibPQ", "PostgresServerTesting", "StoreTestSupport",
                "TestSupport",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "InMemoryLogging", package: "swift-log"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]
        ),
        .testTarget(
            name: "IdemptxTests",
            dependencies: [
                "Idemptx", "IdemptxTesting", "TestSupport",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "InMemoryLogging", package: "swift-log"),
                .product(name: "InMemoryTracing", package: "swift-distributed-tracing"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "MetricsTestKit", package: "swift-metrics"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
            ]
        ),
        .testTarget(
            name: "IdemptxSQLiteTests",
            dependencies: [
                "Idemptx", "IdemptxSQLite", "IdemptxTesting", "StoreTestSupport", "TestSupport",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]
        ),
        .testTarget(
            name: "IdemptxHummingbirdTests",
            dependencies: [
                "Idemptx", "IdemptxHummingbird", "IdemptxRedis", "IdemptxSQLite", "IdemptxTesting",
                "RedisServerTesting", "TestSupport",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdTesting", package: "hummingbird"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ]
        ),
        .testTarget(
            name: "DocumentationTests",
            dependencies: [
                "Idemptx", "IdemptxHummingbird", "IdemptxPostgres", "IdemptxProxy", "IdemptxRedis", "IdemptxSQLite",
                "IdemptxTesting",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdTesting", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ]
        ),
        .target(name: "SimulationRuntime", path: "Tests/SimulationRuntime"),
        .target(
            name: "Simulation",
            dependencies: [
                "Idemptx", "SimulationRuntime",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Tests/Simulation"
        ),
        // A process of its own: it takes all of Swift's concurrency over, and all random numbers.
        .executableTarget(
            name: "idemptx-simulation",
            dependencies: ["Simulation", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            path: "Tests/SimulationCommand"
        ),
        .testTarget(name: "IdemptxSimulationTests"),
        .target(
            name: "FuzzTargets",
            dependencies: [
                "HTTPProxy", "Idemptx", "IdemptxCommand", "IdemptxPostgres", "RESP3",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOHPACK", package: "swift-nio-http2"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "RawStructuredFieldValues", package: "swift-http-structured-headers"),
            ],
            path: "Tests/FuzzTargets"
        ),
        .testTarget(
            name: "FuzzTests",
            dependencies: [
                "FuzzTargets", "HTTPProxy", "Idemptx", "IdemptxCommand", "IdemptxPostgres",
                .product(name: "HTTPTypes", package: "swift-http-types"),
            ],
            exclude: ["Corpus"]
        ),
        .target(
            name: "HTTPTestSupport",
            dependencies: [
                "TestSupport",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHPACK", package: "swift-nio-http2"),
                .product(name: "NIOHTTP2", package: "swift-nio-http2"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            path: "Tests/HTTPTestSupport"
        ),
        .testTarget(
            name: "HTTPProxyTests",
            dependencies: [
                "HTTPProxy", "HTTPTestSupport", "RedisServerTesting", "TestSupport",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHPACK", package: "swift-nio-http2"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOHTTP2", package: "swift-nio-http2"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ]
        ),
        .testTarget(
            name: "IdemptxProxyTests",
            dependencies: [
                "HTTPTestSupport", "Idemptx", "IdemptxProxy", "IdemptxTesting", "RedisServerTesting", "TestSupport",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "InMemoryLogging", package: "swift-log"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOHPACK", package: "swift-nio-http2"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOHTTP2", package: "swift-nio-http2"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]
        ),
        .testTarget(
            name: "ProcessTests",
            dependencies: [
                "HTTPTestSupport", "IdemptxCommand", "IdemptxMain", "PostgresServerTesting", "RedisServerTesting",
                "TestSupport",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            exclude: ["Upstreams"]
        ),
    ]
)

// Each behind a trait that is off by default, and not fetched without it. But the plugin of the documentation turns all traits on.
if Context.environment["IDEMPTX_DOCUMENTATION"] == nil {
    package.products += [
        .library(name: "IdemptxPostgresNIO", targets: ["IdemptxPostgresNIO"]),
        .library(name: "IdemptxValkey", targets: ["IdemptxValkey"]),
        .library(name: "IdemptxVapor", targets: ["IdemptxVapor"]),
    ]
    package.dependencies += [
        .package(url: "https://github.com/valkey-io/valkey-swift", from: "1.4.0"),
        .package(url: "https://github.com/vapor/postgres-nio", from: "1.33.1"),
        .package(url: "https://github.com/vapor/vapor", from: "4.122.0"),
    ]
    package.targets += [
        .target(
            name: "IdemptxPostgresNIO",
            dependencies: [
                "Idemptx", "IdemptxPostgres",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "PostgresNIO", package: "postgres-nio", condition: .when(traits: ["PostgresNIO"])),
            ]
        ),
        .target(
            name: "IdemptxValkey",
            dependencies: [
                "Idemptx",
                .target(name: "IdemptxRedis", condition: .when(traits: ["Valkey"])),
                .product(name: "NIOCore", package: "swift-nio", condition: .when(traits: ["Valkey"])),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Valkey", package: "valkey-swift", condition: .when(traits: ["Valkey"])),
            ]
        ),
        .target(
            name: "IdemptxVapor",
            dependencies: [
                "Idemptx",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio", condition: .when(traits: ["Vapor"])),
                .product(name: "NIOHTTP1", package: "swift-nio", condition: .when(traits: ["Vapor"])),
                .product(name: "Vapor", package: "vapor", condition: .when(traits: ["Vapor"])),
            ]
        ),
    ]
}

// Only for whoever builds the documentation: users should not have to fetch the plugin.
if Context.environment["IDEMPTX_DOCUMENTATION"] != nil {
    package.dependencies.append(.package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.5.0"))
}

// Only for the proof that an adapter for another framework is one file: users should not have to fetch that framework.
if Context.environment["IDEMPTX_ADAPTER_PROOF"] != nil {
    package.dependencies.append(.package(url: "https://github.com/swhitty/FlyingFox", exact: "0.27.1"))
    package.targets.append(
        .testTarget(
            name: "FlyingFoxTests",
            dependencies: [
                "Idemptx", "TestSupport",
                .product(name: "FlyingFox", package: "FlyingFox"),
                .product(name: "FlyingSocks", package: "FlyingFox"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
            ]
        )
    )
}

// Only for the proof that what stands behind the traits that are off by default works: users should not have to fetch those
// packages. Run it with `--enable-all-traits`.
if Context.environment["IDEMPTX_NATIVE_CLIENTS"] != nil {
    package.targets += [
        .testTarget(
            name: "IdemptxPostgresNIOTests",
            dependencies: [
                "Idemptx", "IdemptxPostgres", "IdemptxPostgresNIO", "IdemptxTesting", "PostgresServerTesting",
                "StoreTestSupport", "TestSupport",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "PostgresNIO", package: "postgres-nio"),
            ]
        ),
        .testTarget(
            name: "IdemptxValkeyTests",
            dependencies: [
                "Idemptx", "IdemptxRedis", "IdemptxTesting", "IdemptxValkey", "RedisServerTesting", "StoreTestSupport",
                "TestSupport",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Valkey", package: "valkey-swift"),
            ]
        ),
        .testTarget(
            name: "IdemptxVaporTests",
            dependencies: [
                "Idemptx", "IdemptxVapor", "TestSupport",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "Vapor", package: "vapor"),
            ]
        ),
    ]
}

// Only for fuzzing: libFuzzer, whose driver Tests/FuzzCommand calls, is led by the branches that our own code takes. See Scripts/fuzz.
if Context.environment["IDEMPTX_FUZZING"] != nil {
    package.targets.append(
        .executableTarget(
            name: "idemptx-fuzz", dependencies: ["FuzzTargets"], path: "Tests/FuzzCommand",
            linkerSettings: [.unsafeFlags(["-sanitize=fuzzer", "-use-ld=lld"])]))
    let coverage = "-sanitize-coverage=edge,indirect-calls,trace-cmp,inline-8bit-counters,pc-table"
    for target in package.targets where target.path == nil && !target.isTest {
        target.swiftSettings = [.unsafeFlags(["-O", "-sanitize=address", coverage])]
    }
}

// Only for the thread sanitizer: see Scripts/tsan.
if Context.environment["IDEMPTX_TSAN"] != nil {
    package.targets.append(.target(name: "ThreadSanitizerMutex", path: "Tests/ThreadSanitizerMutex"))
    for target in package.targets where target.isTest { target.dependencies.append("ThreadSanitizerMutex") }
}

// Only for the benchmarks: what they measure of the package's inside, through a public face.
if Context.environment["IDEMPTX_BENCHMARKS"] != nil {
    package.products.append(.library(name: "BenchmarkSupport", targets: ["BenchmarkSupport"]))
    package.targets.append(
        .target(
            name: "BenchmarkSupport",
            dependencies: [
                "Idemptx", "LibPQ", "RESP3",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            path: "Benchmarks/Support"
        )
    )
}

for target in package.targets where target.type != .plugin && target.type != .macro {
    target.swiftSettings =
        (target.swiftSettings ?? []) + [
            .enableUpcomingFeature("ExistentialAny"),  // SE-0335
            .enableUpcomingFeature("InternalImportsByDefault"),  // SE-0409
            .enableUpcomingFeature("MemberImportVisibility"),  // SE-0444
            .enableUpcomingFeature("NonisolatedNonsendingByDefault"),  // SE-0461
            .enableUpcomingFeature("InferIsolatedConformances"),  // SE-0470
            .enableUpcomingFeature("ImmutableWeakCaptures"),  // SE-0481
            .strictMemorySafety(),  // SE-0458
            .treatAllWarnings(as: .error),  // SE-0480
        ]
}

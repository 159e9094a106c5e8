// swift-tools-version: 6.3
import PackageDescription

// What measures Idemptx; `make bench` runs it. A package of its own, so that users of Idemptx fetch none of this.
//
// The root package offers `BenchmarkSupport` only where IDEMPTX_BENCHMARKS is set, as Scripts/bench does.
let package = Package(
    name: "idemptx-benchmarks",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(name: "idemptx", path: ".."),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0", traits: []),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/ordo-one/benchmark", from: "1.38.1", traits: []),
    ],
    targets: [
        .executableTarget(
            name: "BenchmarkServer",
            dependencies: [
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "BenchmarkSupport", package: "idemptx"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "Idemptx", package: "idemptx"),
                .product(name: "IdemptxHummingbird", package: "idemptx"),
                .product(name: "IdemptxPostgres", package: "idemptx"),
                .product(name: "IdemptxRedis", package: "idemptx"),
                .product(name: "IdemptxSQLite", package: "idemptx"),
                .product(name: "Logging", package: "swift-log"),
                // Not linked: named so that one build makes the program that is measured, too.
                .product(name: "idemptx", package: "idemptx"),
            ],
            path: "Server"
        ),
        .executableTarget(
            name: "MicroBenchmarks",
            dependencies: [
                .product(name: "Benchmark", package: "benchmark"),
                .product(name: "BenchmarkSupport", package: "idemptx"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Idemptx", package: "idemptx"),
            ],
            path: "Micro",
            plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]
        ),
    ]
)

for target in package.targets {
    target.swiftSettings = [
        .enableUpcomingFeature("ExistentialAny"),  // SE-0335
        .enableUpcomingFeature("InternalImportsByDefault"),  // SE-0409
        .enableUpcomingFeature("MemberImportVisibility"),  // SE-0444
        .enableUpcomingFeature("NonisolatedNonsendingByDefault"),  // SE-0461
        .enableUpcomingFeature("InferIsolatedConformances"),  // SE-0470
        .enableUpcomingFeature("ImmutableWeakCaptures"),  // SE-0481
        .treatAllWarnings(as: .error),  // SE-0480
    ]
}

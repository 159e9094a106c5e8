import Benchmark
import BenchmarkSupport
import Crypto
import Foundation
import HTTPTypes
import Idemptx
import NIOCore

let benchmarks: @Sendable () -> Void = {}

/// The upstream kept the proxy waiting for too long.
struct UpstreamTimedOut: Error {}

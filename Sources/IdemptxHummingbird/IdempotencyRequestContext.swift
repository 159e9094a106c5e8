public import Hummingbird
public import Idemptx

/// A request context that carries what a handler may know about its attempt.
///
/// ```swift
/// struct AppContext: IdempotencyRequestContext {
///     var coreContext: CoreRequestContextStorage
///     var idempotency: IdempotencyContext?
///
///     init(source: Source) { self.coreContext = .init(source: source) }
/// }
/// ```
///
/// Adopting it is optional: `IdempotencyContext.current` says the same.
public protocol IdempotencyRequestContext: RequestContext {
    /// The attempt that the request is; `nil` if the request is not guarded. Start with `nil`.
    var idempotency: IdempotencyContext? { get set }
}

extension RequestContext {
    /// The context with the attempt in it, if it has a place for one.
    func carrying(_ idempotency: IdempotencyContext?) -> Self {
        guard let idempotency, var context = self as? any IdempotencyRequestContext else { return self }
        context.idempotency = idempotency
        return context as? Self ?? self
    }
}

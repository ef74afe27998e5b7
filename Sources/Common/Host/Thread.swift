internal import CHost
public import LinuxABI

/// A host thread running `body`, detached. Its stack is `stackSize` bytes (0: the default of the C library).
public func startThread(stackSize: Int = 0, _ body: @escaping @Sendable () -> Void) throws(Errno) {
    final class Box: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    // SAFETY: the box is retained here and released exactly once, by the thread, or below when no thread was made.
    let box = unsafe Unmanaged.passRetained(Box(body))
    let error = unsafe chost_thread_start(
        { context in
            guard let context = unsafe context else { return }
            let box = unsafe Unmanaged<Box>.fromOpaque(context).takeRetainedValue()
            box.body()
        }, box.toOpaque(), stackSize)
    if error != 0 {
        unsafe box.release()
        throw Errno(rawValue: error)
    }
}

/// Bounds the C library's heaps, and with them the memory that many threads hold. Before the process confines itself: the library would otherwise ask
/// the host how many CPUs there are when the ninth thread allocates.
public func limitHeaps(_ count: Int) { chost_limit_arenas(Int32(clamping: count)) }

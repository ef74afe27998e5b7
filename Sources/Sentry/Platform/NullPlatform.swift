public import Host
public import LinuxABI

/// A platform without processor: for unit tests and tools. Address spaces accept every batch and keep it for inspection; `run` is answered by a
/// closure that the test supplies. Guest memory works as on a real platform, because the Sentry reaches it through the memory file.
public final class NullPlatform: Platform {
    /// Plays the guest: changes the registers as guest code would and says what happened.
    public typealias Script = @Sendable (inout Registers, any PlatformAddressSpace) -> Event

    public let name = "null"
    public let minimumGuestAddress: UInt64 = 0x1_0000
    public let maximumGuestAddress: UInt64 = 0x7fff_fffe_0000
    private let script: Script

    /// Without a script every `run` returns `.interrupted`.
    public init(script: @escaping Script = { _, _ in .interrupted }) { self.script = script }

    public func makeAddressSpace(memory: SharedDescriptor) throws(Errno) -> any PlatformAddressSpace { NullAddressSpace() }
    public func makeContext() throws(Errno) -> any ExecutionContext { NullContext(script: script) }
}

/// What `NullPlatform` makes: remembers its batches.
public final class NullAddressSpace: PlatformAddressSpace {
    private struct State {
        var batches: [[MappingOperation]] = []
        var failure: Errno?
        var death: StubDeath?
        var isInhabited = false
    }
    private let state = Lock(State())

    init() {}

    /// What a test says.
    public var isInhabited: Bool {
        get { state.withLock { $0.isInhabited } }
        set { state.withLock { $0.isInhabited = newValue } }
    }

    public func apply(_ operations: [MappingOperation]) throws(Errno) {
        try state.withLock { state throws(Errno) in
            if state.death != nil { throw .ESRCH }
            if let failure = state.failure { throw failure }
            state.batches.append(operations)
        }
    }
    public var deathReason: StubDeath? { state.withLock { $0.death } }
    public func destroy() { state.withLock { $0.death = $0.death ?? .destroyed } }

    /// The batches applied since the last call, oldest first.
    public func takeBatches() -> [[MappingOperation]] {
        state.withLock { state in
            defer { state.batches = [] }
            return state.batches
        }
    }
    /// Makes every later batch fail with `error`, or succeed again with nil.
    public func failBatches(with error: Errno?) { state.withLock { $0.failure = error } }
}

private final class NullContext: ExecutionContext {
    private struct State {
        var interrupted = false
        var floatingPoint = [UInt8](repeating: 0, count: 576)
    }
    private let state = Lock(State())
    private let script: NullPlatform.Script

    init(script: @escaping NullPlatform.Script) { self.script = script }

    func run(_ registers: inout Registers, in space: any PlatformAddressSpace) throws(PlatformError) -> Event {
        if let death = space.deathReason { throw .stubDied(death) }
        let pending = state.withLock { state in
            defer { state.interrupted = false }
            return state.interrupted
        }
        return pending ? .interrupted : script(&registers, space)
    }
    func interrupt() { state.withLock { $0.interrupted = true } }
    func clearInterrupt() { state.withLock { $0.interrupted = false } }
    func readFloatingPoint(into image: inout [UInt8]) throws(PlatformError) { image = state.withLock { $0.floatingPoint } }
    func writeFloatingPoint(_ image: Span<UInt8>) throws(PlatformError) {
        let copy = [UInt8](copying: image)
        state.withLock { $0.floatingPoint = copy }
    }
    func resetFloatingPoint() throws(PlatformError) { state.withLock { $0.floatingPoint = [UInt8](repeating: 0, count: 576) } }
    func copyFloatingPoint(from parent: any ExecutionContext) throws(PlatformError) {
        let image = try parent.readFloatingPoint()
        state.withLock { $0.floatingPoint = image }
    }
    func release() {}
}

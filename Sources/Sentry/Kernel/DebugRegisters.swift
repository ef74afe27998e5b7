public import LinuxABI
import SentryMemory
import SentryPlatform
import Synchronization

/// The debug registers of one thread, as ptrace(2) reaches them in struct user: up to four places of code or data that are watched.
///
/// The processor's own registers are not given to guests. A thread that watches something is stepped instead, and after each instruction the Sentry
/// looks whether it has come to a watched place or whether a watched value is another. That is slow, and it cannot see reads: watching those is
/// refused as on a machine whose breakpoint registers are all in use.
struct DebugRegisters: Sendable {
    private enum Kind: UInt64 {
        case execution = 0
        case write = 1
    }
    private struct Watch: Sendable {
        var kind: Kind
        var address: UInt64
        var length: Int
        /// What stood there last; nil when it could not be read.
        var value: UInt64?
    }
    private var addresses: InlineArray<4, UInt64> = [0, 0, 0, 0]
    private var control: UInt64 = 0
    /// DR6: which watches were hit, with the bits that the processor always sets.
    private var status = Self.reservedStatus
    private static let reservedStatus: UInt64 = 0xffff_0ff0
    private var watches: InlineArray<4, Watch?> = [nil, nil, nil, nil]

    var isWatching: Bool { control & 0xff != 0 }

    /// Register `index`, 0 to 7. 4 and 5 do not exist.
    func get(_ index: Int) -> UInt64 {
        switch index {
        case 0...3: addresses[index]
        case 6: status
        case 7: control
        default: 0
        }
    }

    /// EINVAL for an address or a kind that Linux does not take, ENOSPC for what cannot be watched here, EIO for registers that do not exist.
    mutating func set(_ index: Int, _ value: UInt64, limit: UInt64, _ space: AddressSpace?) throws(Errno) {
        switch index {
        case 0...3:
            guard value < limit else { throw .EINVAL }
            var new = self
            new.addresses[index] = value
            try new.arrange(space)
            self = new
        case 6: status = value
        case 7:
            var new = self
            // Only enabling bits, kinds and lengths are the tracer's.
            new.control = value & 0xffff_00ff
            try new.arrange(space)
            self = new
        default: throw .EIO
        }
    }

    private mutating func arrange(_ space: AddressSpace?) throws(Errno) {
        for index in 0..<4 {
            watches[index] = nil
            guard control >> UInt64(2 * index) & 3 != 0 else { continue }
            let bits = control >> UInt64(16 + 4 * index)
            let length = [1, 2, 8, 4][Int(bits >> 2 & 3)]
            guard bits & 3 != 2 else { throw .EINVAL }
            guard let kind = Kind(rawValue: bits & 3) else { throw .ENOSPC }
            guard kind == .write ? addresses[index] % UInt64(length) == 0 : length == 1 else { throw .EINVAL }
            watches[index] = Watch(kind: kind, address: addresses[index], length: length, value: nil)
        }
        refresh(space)
    }

    /// Takes the present values as known: after the tracer has stopped the thread, and after a system call.
    mutating func refresh(_ space: AddressSpace?) {
        for index in 0..<4 { if let watch = watches[index], watch.kind == .write { watches[index]?.value = Self.load(watch, space) } }
    }

    /// After an instruction: whether a watch was hit, which DR6 then says.
    mutating func check(_ instructionPointer: UInt64, _ space: AddressSpace) -> Bool {
        var found: UInt64 = 0
        for index in 0..<4 {
            guard let watch = watches[index] else { continue }
            switch watch.kind {
            case .execution: if watch.address == instructionPointer { found |= 1 << UInt64(index) }
            case .write:
                let value = Self.load(watch, space)
                if value != watch.value { found |= 1 << UInt64(index) }
                watches[index]?.value = value
            }
        }
        if found != 0 { status = Self.reservedStatus | found }
        return found != 0
    }

    private static func load(_ watch: Watch, _ space: AddressSpace?) -> UInt64? {
        guard let space else { return nil }
        switch watch.length {
        case 1: return (try? space.load(watch.address, as: UInt8.self)).map(UInt64.init)
        case 2: return (try? space.load(watch.address, as: UInt16.self)).map(UInt64.init)
        case 4: return (try? space.load(watch.address, as: UInt32.self)).map(UInt64.init)
        default: return try? space.load(watch.address, as: UInt64.self)
        }
    }
}

extension KernelTask {
    /// PTRACE_PEEKUSR of a debug register of a stopped tracee. Any thread.
    public func tracedDebugRegister(_ index: Int) throws(Errno) -> UInt64 { try withTracedRegisters { _ in debugRegisters.get(index) } }

    /// PTRACE_POKEUSR of one.
    public func setTracedDebugRegister(_ index: Int, _ value: UInt64) throws(Errno) {
        let space = addressSpace
        try withTracedRegisters { _ throws(Errno) in
            try debugRegisters.set(index, value, limit: kernel.platform.maximumGuestAddress, space)
            if debugRegisters.isWatching {
                tracing.bitwiseOr(TraceMode.watch, ordering: .sequentiallyConsistent)
            } else {
                tracing.bitwiseAnd(~TraceMode.watch, ordering: .sequentiallyConsistent)
            }
        }
    }

    /// A step of a watching thread is done: a SIGTRAP when it hit something. Own thread.
    func checkWatches(_ space: AddressSpace, isStep: Bool) {
        guard debugRegisters.check(registers.rip, space) else { return }
        // The tracer learns of its own step by the same signal.
        if isStep { return }
        var info = SignalInfo(signal: Signal.SIGTRAP, code: SignalCode.TRAP_HWBKPT)
        info.si_addr = registers.rip
        forceSignal(info)
    }
}

import Host
import LinuxABI
import SentryMemory
public import SentryPlatform
public import SentryVFS
import Synchronization

/// Tells a service that the call that waits for the file may go on.
private final class ServiceWaiter: Waiter, @unchecked Sendable {  // Immutable.
    private let context: any ExecutionContext
    init(_ context: any ExecutionContext) {
        self.context = context
        super.init(mask: .readable)
    }
    override func wake(_ events: PollEvents) -> Parker? { context.retryCall() }
}

/// A call that waits while the task's own thread is in `ExecutionContext.run`.
struct WaitingService {
    fileprivate var file: FileDescription
    fileprivate var waiter: Waiter
}

/// read(2) and write(2) of pipes and event counters, made for the own thread by another one, which is the task's own as long as that lasts.
extension KernelTask: CallServer {
    /// Bytes that a call may move: what a pipe takes at once or not at all, so that a call that was refused has done nothing.
    private static let mostServed: UInt64 = 4096
    /// No call takes that many nanoseconds; what took longer was somebody else's time.
    private static let mostTime: UInt64 = 50_000

    public func serves(_ registers: Registers) -> Bool {
        let number = SystemCallNumber(rawValue: UInt64(UInt32(truncatingIfNeeded: registers.rax)))
        guard number == .read || number == .write, registers.rdx <= Self.mostServed else { return false }
        return (try? promptFile(registers.rdi)) != nil
    }

    public func serve(_ registers: inout Registers) -> ServedCall {
        // Whoever sets a bit interrupts the context.
        guard interrupts.load(ordering: .sequentiallyConsistent) == Interrupt.inGuest, tracing.load(ordering: .relaxed) == 0,
            !hasSeccomp.load(ordering: .relaxed), !kernel.isTracing, !areFactsStale, sequences.address == 0 || !areSequencesDisturbed,
            processor.load(ordering: .relaxed) < 0
        else { return .refused }
        let number = SystemCallNumber(rawValue: UInt64(UInt32(truncatingIfNeeded: registers.orig_rax)))
        guard number == .read || number == .write, registers.rdx <= Self.mostServed else { return .refused }
        let start = HostClock.monotonic
        let owner = borrow()
        let result = number == .read ? serveRead(&registers) : serveWrite(&registers)
        giveBack(owner)
        servedTime.wrappingAdd(min(HostClock.monotonic &- start, Self.mostTime), ordering: .relaxed)
        return result
    }

    private func serveWrite(_ registers: inout Registers) -> ServedCall {
        guard let memory = own.value.memory else { return .refused }
        var buffer = IOBuffer(memory.space, address: registers.rsi, count: registers.rdx, isPrompt: true)
        do throws(Errno) {
            let file = try promptFile(registers.rdi)
            try VFS.checkWritable(file)
            do throws(Errno) {
                let count = try VFS.write(file, at: nil, from: &buffer, self)
                noteWrite(count)
                registers.rax = UInt64(bitPattern: Int64(count))
                return .answered
            } catch {
                if error != .EAGAIN || !file.isNonblocking { throw error }
            }
            noteWrite(0)
            registers.rax = UInt64(bitPattern: -Int64(Errno.EAGAIN.rawValue))
            return .answered
        } catch {
            // What fails is the own thread's: with EPIPE comes a signal.
            return error == .contended ? .busy : .refused
        }
    }

    private func serveRead(_ registers: inout Registers) -> ServedCall {
        guard let memory = own.value.memory else { return .refused }
        let hadWaited = waitingService != nil
        while true {
            var buffer = IOBuffer(memory.space, address: registers.rsi, count: registers.rdx, isPrompt: true)
            do throws(Errno) {
                let file = if let waitingService { waitingService.file } else { try promptFile(registers.rdi) }
                try VFS.checkReadable(file)
                do throws(Errno) {
                    let count = try VFS.read(file, at: nil, into: &buffer, self)
                    noteRead(count)
                    registers.rax = UInt64(bitPattern: Int64(count))
                } catch {
                    if error != .EAGAIN { throw error }
                    if waitingService != nil { return .waiting }
                    if !file.isNonblocking {
                        // It may become readable before the waiter is there.
                        if awaitNews(file, registers) { continue }
                        return .refused
                    }
                    noteRead(0)
                    registers.rax = UInt64(bitPattern: -Int64(error.rawValue))
                }
                stopServing()
                return .answered
            } catch {
                if !hadWaited { stopServing() }
                return error == .contended ? .busy : .refused
            }
        }
    }

    private func promptFile(_ descriptor: UInt64) throws(Errno) -> FileDescription {
        let file = try files.getPromptly(Int32(truncatingIfNeeded: descriptor))
        if !file.isPrompt { throw .notAtHand }
        return file
    }

    /// Leaves the call of `registers` waiting for `file` to become readable: whether it may.
    private func awaitNews(_ file: FileDescription, _ registers: Registers) -> Bool {
        // A sibling could close the file while nobody holds it for this call.
        guard file.readTimeout == nil, !files.isShared, !threadGroup.timers.isDormant.load(ordering: .relaxed) else { return false }
        let waiter = ServiceWaiter(context)
        waitingService = WaitingService(file: file, waiter: waiter)
        file.add(waiter)
        noteSleep(registers)
        stateStorage.store(TaskState.sleeping.rawValue, ordering: .releasing)
        leaveGuest()
        voluntarySwitches.wrappingAdd(1, ordering: .relaxed)
        return true
    }

    public func stopServing() {
        guard let waiting = waitingService else { return }
        waitingService = nil
        waiting.file.remove(waiting.waiter)
        enterGuest()
        stateStorage.store(TaskState.running.rawValue, ordering: .sequentiallyConsistent)
        if threadGroup.timers.isDormant.load(ordering: .relaxed) { threadGroup.checkCPUTimers() }
    }
}

import Host
public import LinuxABI
import SentryMemory
import SentryPlatform
import Synchronization

/// What rseq(2) registered: where the thread's struct rseq lies.
struct SequenceArea: Sendable, Hashable {
    /// 0: none.
    var address: UInt64 = 0
    var length: UInt32 = 0
    var signature: UInt32 = 0
}

/// Restartable sequences (rseq(2)): a critical section of guest code that is interrupted starts again at its abort address.
extension KernelTask {
    /// The first address that no guest mapping has.
    private var addressLimit: UInt64 { kernel.platform.maximumGuestAddress }

    /// rseq(2). Own thread.
    public func changeSequenceArea(_ address: UInt64, length: UInt32, flags: Int32, signature: UInt32) throws(Errno) {
        typealias R = RestartableSequences
        guard let memory else { throw .ESRCH }
        if flags & R.RSEQ_FLAG_UNREGISTER != 0 {
            guard flags == R.RSEQ_FLAG_UNREGISTER, sequences.address == address, address != 0, sequences.length == length else {
                throw .EINVAL
            }
            if sequences.signature != signature { throw .EPERM }
            try memory.space.store(UInt64(UInt32(bitPattern: R.RSEQ_CPU_ID_UNINITIALIZED)) << 32, to: address + R.cpuIDStart)
            try memory.space.store(UInt64(0), to: address + R.nodeID)
            dropSequenceArea()
            return
        }
        if flags != 0 { throw .EINVAL }
        if sequences.address != 0 {
            if sequences.address != address || sequences.length != length { throw .EINVAL }
            throw sequences.signature != signature ? .EPERM : .EBUSY
        }
        guard length >= R.originalSize, address % R.alignment == 0 else { throw .EINVAL }
        guard address < addressLimit, UInt64(length) <= addressLimit - address else { throw .EFAULT }
        // What an earlier user of this memory left there must not be taken for a section.
        if try memory.space.load(address + R.criticalSection, as: UInt64.self) != 0 {
            try memory.space.store(UInt64(0), to: address + R.criticalSection)
        }
        sequences = SequenceArea(address: address, length: length, signature: signature)
        areSequencesDisturbed = true
        memory.processors.watch(signature)
        // A thread that is alone may have any number.
        if memory.userCount > 1, memory.processors.beginExamining() { examineCode(from: 0, to: .max) }
    }

    /// Code was mapped, or data became code: whether there may be critical sections in it. Own thread.
    public func examineCode(from start: UInt64, to end: UInt64) {
        guard let memory, let signature = memory.processors.watchedSignature, !memory.processors.isStrict else { return }
        for (address, code) in memory.space.mappedCode(from: start, to: end)
        where kernel.sectionSearch.mayHoldSections(code, signature, at: address, memory.space) {
            return useSeats(memory)
        }
    }

    /// There are critical sections, or there may be: threads need seats from now on.
    private func useSeats(_ memory: ProcessMemory) {
        guard memory.processors.becomeStrict() else { return }
        let others = kernel.tree.withLock { proof in namespace.tree[proof].tasks.values.filter { $0 !== self && $0.memory === memory } }
        for task in others { task.post(Interrupt.processor) }
        noteProcessorChange()
    }

    /// The processor may be another one from now on, or a seat. Own thread.
    func noteProcessorChange() {
        areSequencesDisturbed = true
        areFactsStale = true
    }

    /// What PTRACE_GET_RSEQ_CONFIGURATION tells. While the task stands in a ptrace stop.
    public var sequenceConfiguration: (address: UInt64, length: UInt32, signature: UInt32) {
        (sequences.address, sequences.length, sequences.signature)
    }

    /// Forgets the registration: unregistering, execve, exit. Own thread.
    func dropSequenceArea() {
        guard sequences.address != 0 else { return }
        memory?.processors.leave(self)
        sequences = SequenceArea()
        shownProcessor.store(-1, ordering: .relaxed)
    }

    /// Before guest code runs: sits down on a processor, aborts a critical section that was disturbed, and writes the numbers when they changed.
    /// False when something else is to be done first. Own thread.
    func prepareSequences(_ memory: ProcessMemory) -> Bool {
        if !memory.processors.isStrict {
            if !areSequencesDisturbed { return true }
            return writeSequences(Int32(truncatingIfNeeded: virtualProcessor), memory)
        }
        if processor.load(ordering: .relaxed) < 0, !waitForProcessor(memory) { return false }
        let seat = processor.load(ordering: .relaxed)
        // Taken away again: the bit that says so is set.
        if seat < 0 { return false }
        if isSeatFresh.load(ordering: .relaxed) { isSeatFresh.store(false, ordering: .relaxed) }
        if seat == shownProcessor.load(ordering: .relaxed), !areSequencesDisturbed { return true }
        return writeSequences(seat, memory)
    }

    /// Aborts a section that was disturbed, and writes the processor's number if it is another one. False when something else is to be done first.
    private func writeSequences(_ seat: Int32, _ memory: ProcessMemory) -> Bool {
        do throws(Errno) {
            if try abortSequence(memory.space), !memory.processors.isStrict {
                // It was not found in the code.
                useSeats(memory)
                return false
            }
            if seat != shownProcessor.load(ordering: .relaxed) { try writeProcessor(UInt32(bitPattern: seat), memory.space) }
        } catch {
            forceSignal(.kernel(Signal.SIGSEGV))
            return false
        }
        areSequencesDisturbed = false
        shownProcessor.store(seat, ordering: .relaxed)
        return true
    }

    private func waitForProcessor(_ memory: ProcessMemory) -> Bool {
        // A seat that was given to this thread may be gone again before it wakes up: then it queues anew.
        while !memory.processors.seat(self) {
            if interrupts.load(ordering: .sequentiallyConsistent) & ~Interrupt.processor != 0 {
                memory.processors.stopWaiting(self)
                return false
            }
            context.suspend()
            _ = parker.park()
        }
        return true
    }

    private func writeProcessor(_ number: UInt32, _ space: AddressSpace) throws(Errno) {
        // cpu_id_start and cpu_id; node 0 and the concurrency id, which is unique in the address space as the processor is.
        try space.store(UInt64(number) << 32 | UInt64(number), to: sequences.address + RestartableSequences.cpuIDStart)
        try space.store(UInt64(number) << 32, to: sequences.address + RestartableSequences.nodeID)
    }

    /// Before the frame of a signal is made: the context it remembers must be outside a critical section. False when the area is bad: SIGSEGV is forced.
    func abortSequenceForSignal() -> Bool {
        guard sequences.address != 0, let space = memory?.space else { return true }
        do throws(Errno) { try abortSequence(space) } catch {
            forceSignal(.kernel(Signal.SIGSEGV))
            return false
        }
        return true
    }

    /// Moves a thread that stands in its critical section to the section's abort address; EFAULT or EINVAL when what describes it is bad. Whether
    /// the thread has used a section.
    @discardableResult private func abortSequence(_ space: AddressSpace) throws(Errno) -> Bool {
        typealias R = RestartableSequences
        let place = sequences.address + R.criticalSection
        let pointer: UInt64 = try space.load(place)
        if pointer == 0 { return false }
        guard pointer < addressLimit else { throw .EINVAL }
        let section = StructureBytes(try space.copyIn(from: pointer, count: R.criticalSectionSize))
        let version: UInt32 = section.get(0), flags: UInt32 = section.get(4)
        let start: UInt64 = section.get(8), length: UInt64 = section.get(16), abort: UInt64 = section.get(24)
        guard version == 0, start < addressLimit, length < addressLimit - start, abort < addressLimit else { throw .EINVAL }
        // The abort handler cannot be inside.
        if abort &- start < length { throw .EINVAL }
        guard abort >= 4 else { throw .EFAULT }
        if try space.load(abort - 4, as: UInt32.self) != sequences.signature { throw .EINVAL }
        if registers.rip &- start >= length {
            try space.store(UInt64(0), to: place)
            return true
        }
        // Flags that ask not to be restarted are gone from Linux.
        if flags != 0 { throw .EINVAL }
        if try space.load(sequences.address + R.flags, as: UInt32.self) != 0 { throw .EINVAL }
        try space.store(UInt64(0), to: place)
        registers.rip = abort
        return true
    }
}

/// Which code has been looked through for critical sections, in a whole sandbox: programs share their libraries.
final class SectionSearch: Sendable {
    private struct Question: Hashable {
        var code: AddressSpace.MappedCode
        var signature: UInt32
    }
    private let answers = Lock<[Question: Bool]>([:])
    /// More are forgotten.
    private static let maximum = 1024

    /// Whether the signature stands in `code`, which is mapped at `address`, as it does in front of a section's abort address. A file that was written over in
    /// place may get the answer of before, which is put right when a thread's area points to a section.
    func mayHoldSections(_ code: AddressSpace.MappedCode, _ signature: UInt32, at address: UInt64, _ space: AddressSpace) -> Bool {
        let question = Question(code: code, signature: signature)
        if let answer = answers.withLock({ $0[question] }) { return answer }
        guard let answer = space.holdsWord(signature, at: address, length: code.length) else { return false }
        answers.withLock { answers in
            if answers.count >= Self.maximum { answers = [:] }
            answers[question] = answer
        }
        return answer
    }
}

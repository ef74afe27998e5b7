import CPlatform
import Host
import LinuxABI
import Synchronization

/// A stub process: its service thread makes the mappings, its other threads run guest code. It serves one `StubAddressSpace` after the other.
final class Stub: @unchecked Sendable {
    /// The conversation with the service thread.
    struct Channel {
        /// The notification in which the service thread waits.
        var waiting: UInt64
        /// Not yet done: the stub's last preparations, prepended to the first batch.
        var isFresh = true
        var serviceCPU: Int32 = -1
        /// Changes that have not been made yet, oldest first.
        var postponed: [MappingOperation] = []
        /// What waits for them: memory that the stub shows until then.
        var releases: [@Sendable () -> Void] = []
    }
    private struct Owner { weak var space: StubAddressSpace? }
    /// What one batch brought back.
    private struct Outcome {
        var done: Int
        var error: Int64
        var newThread: Int32?
        var newThreadNotification: UInt64 = 0
    }
    /// Descriptor numbers in the stub: the memory file, and the first of a batch's mapped files.
    private static let memoryNumber: Int32 = 1
    private static let firstFileNumber: Int32 = 4
    private static let maximumFiles = 64
    /// More changes than this are not postponed: so many may meet a limit of the host's, which the caller should hear of.
    private static let maximumPostponed = 128

    let process: Int32
    private let listener: OwnedDescriptor
    let processDescriptor: SharedDescriptor
    let share: StubShare
    private let memory: SharedDescriptor
    let channel: Lock<Channel>
    /// Guest code may run: until then nobody sees the memory, and changes wait for the first thread, to be made in one trip. Written with the channel's lock held.
    let isInhabited = Atomic<Bool>(false)
    private let death = Lock<StubDeath?>(nil)
    private let ownership = Lock(Owner())
    /// The end of the process (systrap).
    let ending = StubEnding()
    /// Its guest threads' slots, on systrap.
    let slots: SlotTable?

    init(_ fresh: consuming FreshStub, memory: SharedDescriptor) {
        process = fresh.process
        share = fresh.share
        channel = Lock(Channel(waiting: fresh.waiting))
        self.memory = memory
        processDescriptor = fresh.processDescriptor
        slots = fresh.share.slotFile == nil ? nil : SlotTable(share: fresh.share)
        listener = fresh.listener
    }

    deinit { fail(.destroyed) }

    // MARK: life

    var deathReason: StubDeath? { death.withLock { $0 } }

    /// Whose memory it has.
    var owner: StubAddressSpace? {
        get { ownership.withLock { $0.space } }
        set {
            ownership.withLock { $0.space = newValue }
            // The monitor of systrap watches the process itself.
            if slots == nil, let newValue { StubDeaths.shared.watch(listener.rawValue, of: newValue) }
        }
    }

    /// Records why it ends, the first reason wins, and kills it.
    func fail(_ reason: StubDeath) {
        if claim(reason) { kill() }
    }

    /// Whether `reason` is the first.
    func claim(_ reason: StubDeath) -> Bool {
        death.withLock { death in
            if death != nil { return false }
            death = reason
            return true
        }
    }

    func kill() {
        if slots == nil { StubDeaths.shared.forget(listener.rawValue) }
        _ = cplatform_kill(processDescriptor.rawValue, 9)
    }

    /// Whether the service thread waits for the next batch, so that the process is not about to end; false also where that cannot be told.
    var isServing: Bool {
        channel.withLockIfAvailable { cplatform_notify_is_waiting(listener.rawValue, $0.waiting) != 0 } ?? false
    }

    /// Lets a stub that somebody outside has stopped run again.
    func resumeStopped() { _ = cplatform_kill(processDescriptor.rawValue, 18) }

    // MARK: changes

    func apply(_ operations: [MappingOperation], _ channel: inout Channel) throws(Errno) {
        if deathReason != nil { throw .ESRCH }
        if isInhabited.load(ordering: .relaxed) { return try perform(operations, &channel) }
        channel.postponed.postpone(operations)
        if channel.postponed.count > Self.maximumPostponed { try makePostponed(&channel) }
    }

    /// Takes all guest memory away.
    func clear(_ channel: inout Channel) throws(Errno) {
        channel.postponed = []
        var batch = try begin(&channel)
        batch.append(.munmap, 0, cplatform_stub_base())
        _ = try finish(batch, &channel)
    }

    /// Takes all guest memory away and makes `operations`, as late as can be; then calls `release`.
    func clearLater(_ operations: [MappingOperation], _ channel: inout Channel, then release: @escaping @Sendable () -> Void) {
        isInhabited.store(false, ordering: .relaxed)
        channel.postponed = [.unmap(address: 0, length: cplatform_stub_base())] + operations
        channel.releases.append(release)
    }

    private func makePostponed(_ channel: inout Channel) throws(Errno) {
        if channel.postponed.isEmpty { return }
        let operations = channel.postponed
        channel.postponed = []
        try perform(operations, &channel)
        release(&channel)
    }

    /// The stub does not show any more what waited for that.
    private func release(_ channel: inout Channel) {
        for release in channel.releases { release() }
        channel.releases = []
    }

    private func perform(_ operations: [MappingOperation], _ channel: inout Channel) throws(Errno) {
        var batch = try begin(&channel)
        for operation in operations { try append(operation, to: &batch, &channel) }
        _ = try finish(batch, &channel)
    }

    private func append(_ operation: MappingOperation, to batch: inout Batch, _ channel: inout Channel) throws(Errno) {
        if batch.isFull { batch = try finish(batch, &channel) }
        switch operation {
        case .map(let address, let length, let protection, let file, let offset, let populate):
            let number: Int32
            switch file {
            case .memoryFile: number = Self.memoryNumber
            case .descriptor(let descriptor): number = try insert(descriptor, &batch, channel)
            }
            // MAP_SHARED | MAP_FIXED | MAP_NORESERVE, MAP_POPULATE
            let flags: UInt64 = populate ? 0xc011 : 0x4011
            batch.append(.mmap, address, length, UInt64(protection.rawValue), flags, UInt64(number), offset)
        case .unmap(let address, let length): batch.append(.munmap, address, length)
        case .protect(let address, let length, let protection):
            batch.append(.mprotect, address, length, UInt64(protection.rawValue))
        }
    }

    /// Commands written to the ring and not yet started.
    private struct Batch {
        var count = 0
        var files: [SharedDescriptor] = []
        let share: StubShare
        /// Room is kept for the closing of every file, and for a clone and its data.
        var isFull: Bool { count + maximumFiles + 3 > cplatform_ring_entries() || files.count >= maximumFiles }

        init(share: StubShare) { self.share = share }

        mutating func append(
            _ call: SystemCallNumber, _ a: UInt64 = 0, _ b: UInt64 = 0, _ c: UInt64 = 0, _ d: UInt64 = 0, _ e: UInt64 = 0, _ f: UInt64 = 0
        ) {
            precondition(count < cplatform_ring_entries())
            // SAFETY: entry `count` lies inside the ring, which has ring_entries entries of eight words.
            let entry = unsafe share.ring + count * 8
            unsafe entry[0] = call.rawValue
            unsafe entry[1] = a
            unsafe entry[2] = b
            unsafe entry[3] = c
            unsafe entry[4] = d
            unsafe entry[5] = e
            unsafe entry[6] = f
            count += 1
            share.usedEntries = max(share.usedEntries, count)
        }

        /// Closes the files that the commands so far have used.
        mutating func closeFiles() {
            for index in files.indices { append(.close, UInt64(firstFileNumber) + UInt64(index)) }
        }

        /// Words behind the last command, which the stub reads but does not execute.
        func appendData(_ words: UInt64...) {
            precondition(count < cplatform_ring_entries() && words.count <= 8)
            // SAFETY: as above.
            let entry = unsafe share.ring + count * 8
            for (index, word) in words.enumerated() { unsafe entry[index] = word }
            share.usedEntries = max(share.usedEntries, count + 1)
        }
    }

    /// An empty batch; for a new stub, one that begins with its last preparations.
    private func begin(_ channel: inout Channel) throws(Errno) -> Batch {
        let cpu = cplatform_current_cpu()
        if channel.serviceCPU != cpu, cplatform_pin(process, cpu) == 0 { channel.serviceCPU = cpu }
        var batch = Batch(share: share)
        if channel.isFresh {
            try check(cplatform_notify_add(listener.rawValue, channel.waiting, memory.rawValue, Self.memoryNumber))
            batch.append(.munmap, cplatform_stub_scratch(), pageSize)
        }
        return batch
    }

    /// The number of `descriptor` in the stub, for this batch.
    private func insert(_ descriptor: SharedDescriptor, _ batch: inout Batch, _ channel: borrowing Channel) throws(Errno) -> Int32 {
        if let index = batch.files.firstIndex(where: { $0 === descriptor }) { return Self.firstFileNumber + Int32(index) }
        let number = Self.firstFileNumber + Int32(batch.files.count)
        try check(cplatform_notify_add(listener.rawValue, channel.waiting, descriptor.rawValue, number))
        batch.files.append(descriptor)
        return number
    }

    /// Executes the batch and starts another. Mapped files are closed again also when a command fails.
    private func finish(_ batch: consuming Batch, _ channel: inout Channel) throws(Errno) -> Batch {
        let wanted = batch.count
        batch.closeFiles()
        let outcome = try execute(batch.count, &channel)
        if outcome.error != 0 {
            if outcome.done < wanted { try closeFiles(of: batch, &channel) }
            throw Errno(rawValue: Int32(truncatingIfNeeded: -outcome.error))
        }
        return Batch(share: share)
    }

    private func closeFiles(of failed: Batch, _ channel: inout Channel) throws(Errno) {
        if failed.files.isEmpty { return }
        var batch = Batch(share: share)
        batch.files = failed.files
        batch.closeFiles()
        _ = try execute(batch.count, &channel)
    }

    /// One trip to the service thread. With `expectsThread` the batch ends with a clone, whose thread reports too.
    private func execute(_ count: Int, _ channel: inout Channel, expectsThread: Bool = false) throws(Errno) -> Outcome {
        try check(cplatform_notify_send(listener.rawValue, channel.waiting, Int64(count)))
        channel.isFresh = false
        var outcome: Outcome?
        var thread: (tid: Int32, notification: UInt64)?
        while true {
            var notification = cplatform_notification()
            try receive(&notification)
            switch notification.instruction_pointer {
            case cplatform_stub_wait_address() where notification.tid == process && outcome == nil:
                channel.waiting = notification.id
                let done = Int(clamping: notification.arguments.0)
                let error = Int64(bitPattern: notification.arguments.1)
                guard done <= count, error <= 0, error > -4096 else { throw misbehaved("wrong result of a batch") }
                outcome = Outcome(done: done, error: error)
            case cplatform_stub_hello_address() where expectsThread && thread == nil:
                thread = (notification.tid, notification.id)
            default: throw misbehaved("unexpected notification")
            }
            guard var outcome else { continue }
            if expectsThread, outcome.error == 0 {
                guard let thread else { continue }
                outcome.newThread = thread.tid
                outcome.newThreadNotification = thread.notification
            }
            return outcome
        }
    }

    /// How long the service thread may take for one step before it is told to go on, in case it was stopped from outside; and how often.
    private static let patience: Int32 = 200
    private static let reminders = 150

    private func receive(_ notification: inout cplatform_notification) throws(Errno) {
        for _ in 0..<Self.reminders {
            // SAFETY: the pointer is to a variable of the right type.
            let result = unsafe cplatform_notify_receive(listener.rawValue, Self.patience, &notification)
            if result != -11 { return try check(result) }
            resumeStopped()
        }
        throw misbehaved("the service thread does not answer")
    }

    private func misbehaved(_ what: String) -> Errno {
        fail(.misbehaved(what))
        return .ESRCH
    }

    /// A failed exchange with the stub: it is dead, or dies now.
    private func check(_ result: Int32) throws(Errno) {
        if result >= 0 { return }
        switch -result {
        case 3 /* ESRCH */, 2 /* ENOENT */: fail(.killed(signal: 9))
        case 24 /* EMFILE */: throw .EMFILE
        default: fail(.misbehaved("notification failed: \(Errno(rawValue: -result))"))
        }
        throw .ESRCH
    }

    // MARK: threads

    /// A new guest thread for ptrace, stopped, with the calling thread as its tracer.
    func startTracedThread() throws(Errno) -> Int32 {
        let tid = try channel.withLock { channel throws(Errno) -> Int32 in
            if deathReason != nil { throw .ESRCH }
            var batch = try beginForThread(&channel)
            let (tid, notification) = try clone(&batch, &channel) { $0.append(.clone, Self.threadFlags) }
            isInhabited.store(true, ordering: .relaxed)
            release(&channel)
            try check(cplatform_attach(tid))
            // ENOENT: the interruption has already ended its wait. Either way it stops before its next instruction.
            _ = cplatform_notify_send(listener.rawValue, notification, 0)
            return tid
        }
        try check(cplatform_attach_finish(tid))
        return tid
    }

    /// A new guest thread for systrap, about to give the first turn of `slot` to the Sentry: its number. `mapping`: the slot's chunk, to be mapped first. That turn
    /// is not waited for here, since other guest threads can delay it, and whoever wants the channel would wait as long.
    func startTrappingThread(slot: Slot, mapping: (file: SharedDescriptor, chunk: UInt64)?) throws(Errno) -> Int32 {
        try channel.withLock { channel throws(Errno) -> Int32 in
            if deathReason != nil { throw .ESRCH }
            let batch = try beginForThread(&channel)
            isInhabited.store(true, ordering: .relaxed)
            return try startTrappingThread(slot, mapping, batch, &channel)
        }
    }

    private func startTrappingThread(
        _ slot: Slot, _ mapping: (file: SharedDescriptor, chunk: UInt64)?, _ batch: consuming Batch, _ channel: inout Channel
    ) throws(Errno) -> Int32 {
        let size = UInt64(cplatform_slot_size())
        if let mapping {
            let chunk = UInt64(cplatform_slot_size() * cplatform_chunk_slots())
            if batch.isFull { batch = try finish(batch, &channel) }
            let number = try insert(mapping.file, &batch, channel)
            // PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED
            batch.append(.mmap, slot.stubAddress & ~(chunk - 1), chunk, 3, 0x11, UInt64(number), mapping.chunk * chunk)
        }
        let (tid, notification) = try clone(&batch, &channel) { batch in
            // CLONE_CHILD_CLEARTID: the slot's first word becomes 0 when the thread ends. The sixth word tells the thread its platform.
            batch.append(.clone, Self.threadFlags | 0x20_0000, slot.stubAddress + size, 0, slot.stubAddress, 0, 1)
            let stack = UInt64(cplatform_slot_stack())
            batch.appendData(slot.stubAddress + stack, 0, size - stack)
        }
        if isInhabited.load(ordering: .relaxed) { release(&channel) }
        // The thread has read its signal stack from the ring, which is free again.
        try check(cplatform_notify_send(listener.rawValue, notification, 0))
        return tid
    }

    /// Makes a guest thread ahead of the first task, which finds it waiting (systrap). Nobody sees the memory before that.
    func prepareThread() throws(Errno) {
        guard let slots else { return }
        let (slot, mapping) = try slots.take()
        do throws(Errno) {
            try channel.withLock { channel throws(Errno) in
                if deathReason != nil { throw .ESRCH }
                let thread = try startTrappingThread(slot, mapping, try begin(&channel), &channel)
                var registers = Registers()
                var event = cplatform_slot_event()
                var state = CPLATFORM_SLOT_AGAIN
                while state == CPLATFORM_SLOT_AGAIN { state = slot.wait(cycles: 0, microseconds: -1) }
                guard state == CPLATFORM_SLOT_READY, slot.load(&registers, &event), event.has_frame != 0 else { throw .ESRCH }
                let parked = SlotTable.ParkedThread(slot: slot, thread: thread, place: .frame(event.frame), sequence: event.sequence)
                if !slots.park(parked) { throw .ESRCH }
            }
        } catch {
            slots.putBack(slot)
            fail(.misbehaved("its first thread did not come to be"))
            throw error
        }
    }

    /// A thread that waits for a task, when there is one (systrap). The first finds all changes made.
    func reuseThread() throws(Errno) -> SlotTable.ParkedThread? {
        guard let slots else { return nil }
        return try channel.withLock { channel throws(Errno) in
            if deathReason != nil { throw .ESRCH }
            guard let parked = slots.unpark() else { return nil }
            if isInhabited.load(ordering: .relaxed) { return parked }
            isInhabited.store(true, ordering: .relaxed)
            do throws(Errno) { try makePostponed(&channel) } catch {
                if !slots.park(parked) { _ = parked.slot.give(.exit, spins: 0, yields: 0) }
                throw error
            }
            return parked
        }
    }

    /// CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM
    private static let threadFlags: UInt64 = 0x50f00

    /// A batch for the start of a thread, the first of which must find all changes made.
    private func beginForThread(_ channel: inout Channel) throws(Errno) -> Batch {
        var batch = try begin(&channel)
        if isInhabited.load(ordering: .relaxed) { return batch }
        let operations = channel.postponed
        channel.postponed = []
        for operation in operations { try append(operation, to: &batch, &channel) }
        return batch
    }

    /// Executes the batch with a clone at its end, which `append` adds.
    private func clone(_ batch: inout Batch, _ channel: inout Channel, _ append: (inout Batch) -> Void) throws(Errno)
        -> (tid: Int32, notification: UInt64)
    {
        let wanted = batch.count
        batch.closeFiles()
        append(&batch)
        let outcome = try execute(batch.count, &channel, expectsThread: true)
        guard outcome.error == 0, let tid = outcome.newThread else {
            if outcome.done < wanted { try closeFiles(of: batch, &channel) }
            throw outcome.error == 0 ? .EAGAIN : Errno(rawValue: Int32(truncatingIfNeeded: -outcome.error))
        }
        return (tid, outcome.newThreadNotification)
    }
}

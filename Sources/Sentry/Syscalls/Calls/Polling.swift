import Host
import LinuxABI
import SentryKernel
import SentryMemory
import SentryVFS

/// Waiting for several files: poll(2), ppoll(2), select(2), pselect(2).
enum PollCalls {
    static let calls: [SystemCall] = [
        SystemCall(.poll, poll), SystemCall(.ppoll, ppoll), SystemCall(.select, select), SystemCall(.pselect6, pselect6),
    ]

    // MARK: The wait

    /// Files with what is asked of them.
    struct Interest {
        var file: FileDescription
        var mask: PollEvents
    }

    /// What of each interest holds, once any does, or nothing when `deadline` (CLOCK_MONOTONIC, nanoseconds; nil: never; 0: at once) passed.
    static func wait(_ task: KernelTask, _ interests: [Interest], deadline: UInt64?) throws(Errno) -> [PollEvents]? {
        if let found = scan(task, interests) { return found }
        if deadline == 0 { return nil }
        let waiters = interests.map { TaskWaiter(task, $0.mask) }
        for (interest, waiter) in zip(interests, waiters) { interest.file.add(waiter) }
        defer { for (interest, waiter) in zip(interests, waiters) { interest.file.remove(waiter) } }
        while true {
            if let found = scan(task, interests) { return found }
            if try !task.block(deadline: deadline) { return scan(task, interests) }
        }
    }

    private static func scan(_ task: KernelTask, _ interests: [Interest]) -> [PollEvents]? {
        var results: [PollEvents]?
        for (index, interest) in interests.enumerated() {
            let events = interest.file.readiness(interest.mask, for: task).intersection(interest.mask)
            if events.isEmpty { continue }
            if results == nil { results = [PollEvents](repeating: [], count: interests.count) }
            results?[index] = events
        }
        return results
    }

    /// The deadline of a relative timeout in nanoseconds; 0 stays 0.
    static func deadline(after timeout: UInt64?) -> UInt64? {
        guard let timeout else { return nil }
        if timeout == 0 { return 0 }
        let (sum, overflow) = HostClock.monotonic.addingReportingOverflow(timeout)
        return overflow ? nil : sum
    }

    /// Milliseconds of poll(2) and epoll_wait(2): negative means for ever.
    static func timeout(milliseconds: Int32) -> UInt64? { milliseconds < 0 ? nil : UInt64(milliseconds) * 1_000_000 }

    // MARK: poll(2)

    /// struct pollfd: descriptor, events, revents.
    private static let entrySize = 8

    static func poll(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let deadline = deadline(after: timeout(milliseconds: arguments.int32(2)))
        let address = arguments[0], count = arguments.uint32(1)
        do throws(Errno) { return try poll(task, address, count, deadline: deadline) } catch {
            guard error == .ERESTARTSYS else { throw error }
            // Goes on with what is left of the time after a signal without a handler.
            task.restartBlock = { task throws(Errno) in
                do throws(Errno) { return try poll(task, address, count, deadline: deadline) } catch {
                    throw error == .ERESTARTSYS ? .EINTR : error
                }
            }
            throw .ERESTART_RESTARTBLOCK
        }
    }

    private static func poll(_ task: KernelTask, _ address: UInt64, _ count: UInt32, deadline: UInt64?) throws(Errno) -> Int {
        guard UInt64(count) <= task.descriptorLimit, count <= DescriptorTable.hardLimit else { throw .EINVAL }
        let memory = try task.guestMemory()
        var entries = StructureBytes(count == 0 ? [] : try memory.copyIn(from: address, count: Int(count) * entrySize))
        var interests: [Interest] = []
        var places: [Int] = []
        var invalid = 0
        interests.reserveCapacity(Int(count))
        places.reserveCapacity(Int(count))
        for index in 0..<Int(count) {
            let offset = index * entrySize
            let descriptor: Int32 = entries.get(offset), events: UInt16 = entries.get(offset + 4)
            entries.put(UInt16(0), at: offset + 6)
            if descriptor < 0 { continue }
            guard let file = try? task.file(descriptor) else {
                entries.put(UInt16(truncatingIfNeeded: PollEvents.POLLNVAL.rawValue), at: offset + 6)
                invalid += 1
                continue
            }
            interests.append(Interest(file: file, mask: PollEvents(rawValue: UInt32(events)).union([.POLLERR, .POLLHUP])))
            places.append(offset)
        }
        // An invalid descriptor is an answer: nothing is waited for.
        let found = try wait(task, interests, deadline: invalid > 0 ? 0 : deadline)
        var ready = invalid
        for (place, events) in zip(places, found ?? []) where !events.isEmpty {
            entries.put(UInt16(truncatingIfNeeded: events.rawValue), at: place + 6)
            ready += 1
        }
        if count > 0 { try memory.copyOut(entries.bytes, to: address) }
        return ready
    }

    static func ppoll(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let (deadline, mask) = (try timespecDeadline(task, arguments[2]), try signalMask(task, arguments[3], size: arguments[4]))
        let address = arguments[0], count = arguments.uint32(1)
        defer { storeRest(task, of: deadline, to: arguments[2], microseconds: false) }
        return try task.withSignalMask(mask) { () throws(Errno) in
            do throws(Errno) { return try poll(task, address, count, deadline: deadline) } catch {
                throw error == .ERESTARTSYS ? .ERESTARTNOHAND : error
            }
        }
    }

    // MARK: select(2)

    static func select(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        var deadline: UInt64?
        if arguments[4] != 0 {
            let memory = try task.guestMemory()
            let seconds: Int64 = try memory.load(arguments[4]), micro: Int64 = try memory.load(arguments[4] &+ 8)
            guard seconds >= 0, micro >= 0 else { throw .EINVAL }
            let nano = micro.multipliedReportingOverflow(by: 1000)
            let whole = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
            deadline = self.deadline(after: whole.overflow || nano.overflow ? nil : whole.partialValue &+ UInt64(nano.partialValue))
        }
        defer { storeRest(task, of: deadline, to: arguments[4], microseconds: true) }
        do throws(Errno) { return try select(task, arguments, deadline: deadline) } catch {
            throw error == .ERESTARTSYS ? .ERESTARTNOHAND : error
        }
    }

    static func pselect6(_ task: KernelTask, _ arguments: borrowing SyscallArguments) throws(Errno) -> Int {
        let deadline = try timespecDeadline(task, arguments[4])
        var mask: SignalSet?
        if arguments[5] != 0 {
            // A pointer to the set and its size.
            let memory = try task.guestMemory()
            mask = try signalMask(task, memory.load(arguments[5]), size: memory.load(arguments[5] &+ 8))
        }
        defer { storeRest(task, of: deadline, to: arguments[4], microseconds: false) }
        let words = SyscallArguments(arguments.words)
        return try task.withSignalMask(mask) { () throws(Errno) in
            do throws(Errno) { return try select(task, words, deadline: deadline) } catch {
                throw error == .ERESTARTSYS ? .ERESTARTNOHAND : error
            }
        }
    }

    /// What each of the three sets asks for.
    private static let setMasks: [PollEvents] = [
        [.POLLIN, .POLLRDNORM, .POLLRDBAND, .POLLHUP, .POLLERR], [.POLLOUT, .POLLWRNORM, .POLLWRBAND, .POLLERR], [.POLLPRI],
    ]

    private static func select(_ task: KernelTask, _ arguments: borrowing SyscallArguments, deadline: UInt64?) throws(Errno) -> Int {
        guard arguments.int32(0) >= 0 else { throw .EINVAL }
        // Bits beyond the descriptor table mean nothing, as on Linux.
        let count = min(Int(arguments.int32(0)), task.files.capacity)
        let size = (count + 63) / 64 * 8
        let memory = try task.guestMemory()
        var sets: [[UInt8]?] = [nil, nil, nil]
        for set in 0..<3 where arguments[1 + set] != 0 && size > 0 { sets[set] = try memory.copyIn(from: arguments[1 + set], count: size) }
        var interests: [Interest] = []
        var numbers: [Int] = []
        for byte in 0..<size {
            let bytes = (0..<3).map { sets[$0]?[byte] ?? 0 }
            if bytes[0] | bytes[1] | bytes[2] == 0 { continue }
            for bit in 0..<8 where byte * 8 + bit < count {
                var mask: PollEvents = []
                for set in 0..<3 where bytes[set] & 1 << UInt8(bit) != 0 { mask.formUnion(setMasks[set]) }
                if mask.isEmpty { continue }
                interests.append(Interest(file: try task.file(Int32(byte * 8 + bit)), mask: mask))
                numbers.append(byte * 8 + bit)
            }
        }
        let found = try wait(task, interests, deadline: deadline)
        var results = sets.map { $0.map { [UInt8](repeating: 0, count: $0.count) } }
        var ready = 0
        for (number, events) in zip(numbers, found ?? []) {
            for set in 0..<3 {
                let bit = UInt8(1) << UInt8(number % 8)
                guard let wanted = sets[set], wanted[number / 8] & bit != 0, !events.isDisjoint(with: setMasks[set]) else { continue }
                results[set]?[number / 8] |= bit
                ready += 1
            }
        }
        for set in 0..<3 {
            if let result = results[set] { try memory.copyOut(result, to: arguments[1 + set]) }
        }
        return ready
    }

    // MARK: Timeouts and masks

    /// A relative struct timespec as a deadline; nil for a null pointer.
    static func timespecDeadline(_ task: KernelTask, _ address: UInt64) throws(Errno) -> UInt64? {
        if address == 0 { return nil }
        let memory = try task.guestMemory()
        let time = Timespec(tv_sec: try memory.load(address), tv_nsec: try memory.load(address &+ 8))
        guard let nanoseconds = time.nanoseconds else { throw .EINVAL }
        return deadline(after: nanoseconds)
    }

    /// A signal mask argument that may be null.
    static func signalMask(_ task: KernelTask, _ address: UInt64, size: UInt64) throws(Errno) -> SignalSet? {
        if address == 0 { return nil }
        guard size == 8 else { throw .EINVAL }
        return SignalSet(rawValue: try task.guestMemory().load(address))
    }

    /// select(2), pselect(2) and ppoll(2) tell the time that is left. An unwritable timeout is no error.
    private static func storeRest(_ task: KernelTask, of deadline: UInt64?, to address: UInt64, microseconds: Bool) {
        guard address != 0, let deadline, let memory = task.addressSpace else { return }
        let now = HostClock.monotonic
        let rest = deadline > now ? deadline - now : 0
        try? memory.store(rest / 1_000_000_000, to: address)
        try? memory.store(rest % 1_000_000_000 / (microseconds ? 1000 : 1), to: address &+ 8)
    }
}

import Host
import LinuxABI
public import SentryPlatform

private let SIGBUS: Int32 = 7
private let SIGSEGV: Int32 = 11
private let SEGV_MAPERR: Int32 = 1
private let SEGV_ACCERR: Int32 = 2
private let BUS_ADRERR: Int32 = 2

/// Page faults: backing, copy-on-write, stack growth.
extension AddressSpace {
    /// Answers a fault of guest code when only its place is known.
    public func handleFault(_ address: UInt64, access: AccessKind?) -> FaultOutcome {
        handleFault(FaultInfo(signal: SIGSEGV, code: SEGV_MAPERR, address: address, access: access))
    }

    /// Answers a SIGSEGV or SIGBUS of guest code.
    public func handleFault(_ fault: FaultInfo) -> FaultOutcome {
        // General protection, alignment check, protection keys: not about what is mapped.
        let isAboutMapping = fault.signal == SIGSEGV ? fault.code == SEGV_MAPERR || fault.code == SEGV_ACCERR : fault.code == BUS_ADRERR
        guard isAboutMapping, fault.signal == SIGSEGV || fault.signal == SIGBUS else {
            return .signal(number: fault.signal, code: fault.code)
        }
        return state.withLock { state in handleFaultLocked(&state, fault) }
    }

    private func handleFaultLocked(_ state: inout SpaceState, _ fault: FaultInfo) -> FaultOutcome {
        let address = fault.address
        let page = address & ~(pageSize - 1)
        guard address < layout.maximumAddress, let index = state.regions.index(containing: address) ?? growStack(&state, address) else {
            return .signal(number: SIGSEGV, code: SEGV_MAPERR)
        }
        let region = state.regions[index]
        let protection = region.value.protection
        switch fault.access {
        case .write where !protection.contains(.write), .execute where !protection.contains(.execute):
            return .signal(number: SIGSEGV, code: SEGV_ACCERR)
        default:
            if protection.isEmpty { return .signal(number: SIGSEGV, code: SEGV_ACCERR) }
        }
        if state.postponed.contains(address) {
            if state.postponed.areInherited { state.history.noteTouched(page) }
            let postponed = state.postponed.take()
            let isDone = (try? platformSpace.apply(postponed)) != nil
            // What is written to may have to be copied as well.
            if isDone, fault.access != .write { return .resolved }
        }
        var operations: [MappingOperation] = []
        guard let runIndex = state.runs.index(containing: address) else {
            do {
                try backMissing(&state, region: index, region.start, region.end, around: address, &operations)
                if state.runs.index(containing: address) == nil { return .signal(number: SIGBUS, code: BUS_ADRERR) }
                try apply(&state, operations)
                return .resolved
            } catch {
                switch error {
                case .ENOMEM: return .outOfMemory
                case .EACCES: return .signal(number: SIGSEGV, code: SEGV_ACCERR)
                case .ESRCH: return .resolved  // the stub is dead; the next run says so
                default: return .signal(number: SIGBUS, code: BUS_ADRERR)
                }
            }
        }
        let run = state.runs[runIndex]
        if fault.signal == SIGBUS {
            // Beyond the end of a file that the host keeps; or the container's memory is full.
            return run.value.isMemory ? .outOfMemory : .signal(number: SIGBUS, code: BUS_ADRERR)
        }
        let mayWrite = protection.contains(.write) && fault.access != .read && fault.access != .execute
        if mayWrite, run.value.isCopyOnWrite || !run.value.isWritable {
            switch makeWritable(&state, region: index, page) {
            case .success: return .resolved
            case .failure(.ENOMEM): return .outOfMemory
            case .failure(.EACCES): return .signal(number: SIGSEGV, code: SEGV_ACCERR)
            case .failure(.ESRCH): return .resolved
            case .failure: return .signal(number: SIGBUS, code: BUS_ADRERR)
            }
        }
        // The stub's mapping forbids what it was used for, and the region does not allow more.
        if fault.code == SEGV_ACCERR, fault.access == nil, !protection.contains(.write) {
            return .signal(number: SIGSEGV, code: SEGV_ACCERR)
        }
        // Another thread has just mended it, or a batch had failed: map it (again).
        let start = max(run.start, region.start), end = min(run.end, region.end)
        let piece = RunEntry(start: start, end: end, value: run.value.advanced(by: start - run.start))
        do {
            try apply(&state, [mapOperation(piece, protection)])
            return .resolved
        } catch {
            return error == .ESRCH ? .resolved : .outOfMemory
        }
    }

    /// Extends a region that grows down to `address`, in pieces of at least 128 KiB; its index.
    func growStack(_ state: inout SpaceState, _ address: UInt64) -> Int? {
        let index = state.regions.index(endingAbove: address)
        guard index < state.regions.count, state.regions[index].value.flags.contains(.growsDown), state.regions[index].start > address,
            address >= layout.minimumAddress
        else { return nil }
        let region = state.regions[index]
        let page = address & ~(pageSize - 1)
        let limit = max(state.limits.stack, pageSize)
        guard region.end - page <= limit else { return nil }
        let floor = index > 0 ? state.regions[index - 1].end : 0
        // Accessible memory below must stay a guard gap away (mm/mmap.c expand_downwards).
        let gap = index > 0 && !state.regions[index - 1].value.protection.isEmpty ? Self.stackGuardGap : 0
        guard page >= floor, page - floor >= gap else { return nil }
        let wanted = region.start >= 128 << 10 ? min(page, region.start - (128 << 10)) : page
        let lowest = region.end > limit ? (region.end - limit + pageSize - 1) & ~(pageSize - 1) : 0
        let start = max(wanted, lowest, floor + gap, layout.minimumAddress)
        guard start <= page else { return nil }
        let grown = region.start - start
        if state.limits.addressSpace != .max, state.total &+ grown > state.limits.addressSpace { return nil }
        var operations: [MappingOperation] = []
        state.addRegion(start, region.start, region.value)
        guard let found = state.regions.index(containing: address) else { return nil }
        try? backMissing(&state, region: found, start, region.start, &operations)
        try? apply(&state, operations)
        return found
    }

    /// Makes the page at `page` of the region at `index` writable in the stub and for the Sentry: copies it (and some around it) when others share it,
    /// takes it back when nobody does, or asks the object for writable backing.
    func makeWritable(_ state: inout SpaceState, region index: Int, _ page: UInt64, force: Bool = false) -> Result<Void, Errno> {
        let region = state.regions[index]
        guard let runIndex = state.runs.index(containing: page) else { return .failure(.EFAULT) }
        let run = state.runs[runIndex]
        let start = max(run.start, region.start), end = min(run.end, region.end)
        if region.value.isShared {
            guard let object = region.value.object else { return .failure(.EACCES) }
            do {
                let backing = try object.backing(offset: region.value.offset &+ (start - region.start), length: end - start, write: true)
                let length = min(backing.length & ~(pageSize - 1), end - start)
                guard length > 0 else { return .failure(.EIO) }
                var value = run.value
                value.isWritable = true
                switch backing.source {
                case .memoryFile(let offset): (value.source, value.offset) = (.borrowed, offset)
                case .descriptor(let descriptor, let offset):
                    (value.source, value.offset) = (.host(HostWindows.window(of: descriptor)), offset)
                }
                let piece = RunEntry(start: start, end: start + length, value: value)
                _ = state.runs.remove(piece.start, piece.end)
                state.runs.insert(piece.start, piece.end, value)
                try apply(&state, [mapOperation(piece, region.value.protection)])
                return .success(())
            } catch {
                return .failure(error)
            }
        }
        if run.value.isOwned {
            let offset = run.value.offset &+ (page - run.start)
            let sharing = memoryFile.isShared(at: offset, end: run.value.offset &+ (end - run.start))
            // Writes in sequence are no habit.
            if page != state.lastCopyEnd { state.history.note(page) }
            if !sharing.shared {
                // The last owner: take back everything around that is not shared either.
                var low = page
                let startOffset = run.value.offset &+ (start - run.start)
                let before = memoryFile.isShared(at: startOffset, end: offset)
                if !before.shared, before.end >= offset { low = start }
                let high = run.start &+ (sharing.end &- run.value.offset)
                setCopyOnWrite(&state, low, high, false)
                do {
                    try apply(&state, [.protect(address: low, length: high - low, protection: region.value.protection)])
                } catch {
                    return .failure(error)
                }
                return .success(())
            }
            return copy(&state, region, run, page, end: run.start &+ (sharing.end &- run.value.offset))
        }
        return copy(&state, region, run, page, end: end)
    }

    private func setCopyOnWrite(_ state: inout SpaceState, _ start: UInt64, _ end: UInt64, _ value: Bool) {
        for index in state.runs.isolate(start, end) { state.runs[index].value.isCopyOnWrite = value }
        state.runs.coalesce(start, end)
    }

    /// Copies the page into pages of this address space, and its neighbourhood too unless a file shows there that may change: its other pages stay
    /// the file's, since until the guest writes to one it sees what others write there. `end`: up to where the source is alike.
    private func copy(_ state: inout SpaceState, _ region: RegionEntry, _ run: RunEntry, _ page: UInt64, end: UInt64) -> Result<Void, Errno>
    {
        let smallest: UInt64 = 64 << 10, largest: UInt64 = 1 << 20
        var low: UInt64
        var high: UInt64
        let isAlone = !run.value.isOwned && !region.value.flags.contains(.image) && region.value.object?.isConstant != true
        if isAlone {
            low = page
            high = page &+ pageSize
        } else if page == state.lastCopyEnd {
            low = page
            high = page &+ min(state.lastCopyLength &* 2, largest)
        } else {
            low = page & ~(smallest - 1)
            high = low &+ smallest
        }
        low = max(low, run.start, region.start)
        high = min(high, end, region.end)
        if case .host = run.value.source {
            // Pages beyond the end of the file are not there to be copied.
            let size = region.value.object.map { $0.mappableSize } ?? .max
            let (objectEnd, overflow) = region.start.addingReportingOverflow((roundUpToPage(size) ?? .max) &- region.value.offset)
            if size <= region.value.offset { return .failure(.EIO) }
            if !overflow { high = min(high, objectEnd) }
            if high <= page { return .failure(.EIO) }
        } else if run.value.isOwned, low < page {
            // What lies before may be shared differently.
            let offset = run.value.offset &+ (low - run.start)
            let sharing = memoryFile.isShared(at: offset, end: run.value.offset &+ (page - run.start))
            if !sharing.shared || sharing.end < run.value.offset &+ (page - run.start) { low = page }
        }
        let source = run.value.advanced(by: low - run.start)
        var near: UInt64?
        if let before = state.runs.index(containing: low &- 1), state.runs[before].end == low, state.runs[before].value.isOwned {
            near = state.runs[before].value.offset &+ state.runs[before].length
        }
        let target: Range<UInt64>
        do {
            target = try memoryFile.allocate(high - low, near: near)
            switch source.source {
            case .owned, .borrowed: try memoryFile.copy(source.offset..<source.offset &+ (high - low), to: target.lowerBound)
            case .host(let window):
                let done = copyFromHost(window, source.offset, to: target.lowerBound, count: high - low)
                if done <= page - low {
                    memoryFile.release(target)
                    return .failure(.EIO)
                }
                // What could not be read stays the file's, when that is a whole page.
                let copied = (done + pageSize - 1) & ~(pageSize - 1)
                if low + copied < high {
                    memoryFile.release(target.lowerBound + copied..<target.upperBound)
                    high = low + copied
                }
            }
        } catch {
            return .failure(error)
        }
        let piece = RunEntry(
            start: low, end: high, value: Run(source: .owned, offset: target.lowerBound, isCopyOnWrite: false, isWritable: true))
        let old = state.runs.remove(low, high)
        state.runs.insert(low, high, piece.value)
        if !isAlone {
            state.lastCopyEnd = high
            state.lastCopyLength = high - low
        }
        do {
            // The new pages replace the old ones in the stub before those may go to somebody else.
            try apply(&state, [mapOperation(piece, region.value.protection, populate: true)])
        } catch {
            platformSpace.destroy()
            discard(Removed(runs: old))
            return .failure(error)
        }
        discard(Removed(runs: old))
        return .success(())
    }

    /// Bytes copied, until the end of the file or of the container's memory.
    func copyFromHost(_ window: HostWindow, _ offset: UInt64, to target: UInt64, count: UInt64) -> UInt64 {
        var done: UInt64 = 0
        while done < count {
            let left = Int(count - done)
            let part = window.withAddress(offset + done) { address, available -> Int in
                memoryFile.writePages(from: address, min(available, left), at: target + done)
            }
            guard let part, part > 0 else { break }
            done += UInt64(part)
        }
        return done
    }
}

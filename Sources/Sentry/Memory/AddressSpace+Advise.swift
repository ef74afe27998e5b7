import Host
public import LinuxABI
import SentryPlatform

/// madvise(2), mincore(2), populating.
extension AddressSpace {
    /// madvise(2). EINVAL for advice that this kernel does not know. Holes are skipped and reported with ENOMEM at the end.
    public func advise(_ address: UInt64, length: UInt64, advice: Int32) throws(Errno) {
        guard Self.isKnown(advice), address % pageSize == 0, let end = rangeEnd(address, length, limit: .max) else { throw .EINVAL }
        if advice == MemoryAdvice.MADV_HWPOISON || advice == MemoryAdvice.MADV_SOFT_OFFLINE { throw .EPERM }
        if address == end { return }
        try state.withLock { state throws(Errno) in
            guard end <= layout.maximumAddress else { throw .ENOMEM }
            let complete = isMapped(state, address, end)
            switch advice {
            case MemoryAdvice.MADV_DONTNEED, MemoryAdvice.MADV_DONTNEED_LOCKED, MemoryAdvice.MADV_FREE:
                try dropPages(&state, address, end, advice)
            case MemoryAdvice.MADV_REMOVE:
                try removePages(&state, address, end)
            case MemoryAdvice.MADV_POPULATE_READ, MemoryAdvice.MADV_POPULATE_WRITE:
                if !complete { throw .ENOMEM }
                try populate(&state, address, end, write: advice == MemoryAdvice.MADV_POPULATE_WRITE)
            case MemoryAdvice.MADV_WILLNEED:
                break  // the host reads ahead by itself; anonymous memory has nothing to read
            default:
                try setAdvice(&state, address, end, advice)
            }
            if !complete { throw .ENOMEM }
        }
    }

    private static func isKnown(_ advice: Int32) -> Bool {
        switch advice {
        case MemoryAdvice.MADV_MERGEABLE, MemoryAdvice.MADV_UNMERGEABLE, MemoryAdvice.MADV_COLLAPSE: false  // as without CONFIG_KSM and THP
        case 0...4, 8...25, 100, 101: true
        default: false
        }
    }

    /// Advice that is remembered in the region.
    private func setAdvice(_ state: inout SpaceState, _ start: UInt64, _ end: UInt64, _ advice: Int32) throws(Errno) {
        var index = state.regions.index(endingAbove: start)
        if advice == MemoryAdvice.MADV_WIPEONFORK {
            while index < state.regions.count, state.regions[index].start < end {
                if state.regions[index].value.isShared || !state.regions[index].value.isAnonymous { throw .EINVAL }
                index += 1
            }
        }
        for index in state.regions.isolate(start, end) {
            func set(_ add: RegionFlags, _ remove: RegionFlags = []) {
                state.regions[index].value.flags.subtract(remove)
                state.regions[index].value.flags.insert(add)
            }
            switch advice {
            case MemoryAdvice.MADV_NORMAL: set([], [.random, .sequential])
            case MemoryAdvice.MADV_RANDOM: set(.random, .sequential)
            case MemoryAdvice.MADV_SEQUENTIAL: set(.sequential, .random)
            case MemoryAdvice.MADV_DONTFORK: set(.dontFork)
            case MemoryAdvice.MADV_DOFORK: set([], .dontFork)
            case MemoryAdvice.MADV_WIPEONFORK: set(.wipeOnFork)
            case MemoryAdvice.MADV_KEEPONFORK: set([], .wipeOnFork)
            case MemoryAdvice.MADV_DONTDUMP: set(.dontDump)
            case MemoryAdvice.MADV_DODUMP: set([], .dontDump)
            case MemoryAdvice.MADV_HUGEPAGE: set(.hugePage, .noHugePage)
            case MemoryAdvice.MADV_NOHUGEPAGE: set(.noHugePage, .hugePage)
            default: break  // MADV_COLD, MADV_PAGEOUT: there is no swap to go to
            }
        }
        state.regions.coalesce(start, end)
    }

    /// MADV_DONTNEED and MADV_FREE: private pages are gone, and read as what was mapped at first.
    private func dropPages(_ state: inout SpaceState, _ start: UInt64, _ end: UInt64, _ advice: Int32) throws(Errno) {
        var operations: [MappingOperation] = []
        var dropped: [RunEntry] = []
        var index = state.regions.index(endingAbove: start)
        while index < state.regions.count, state.regions[index].start < end {
            let region = state.regions[index]
            index += 1
            if region.value.flags.contains(.locked), advice != MemoryAdvice.MADV_DONTNEED_LOCKED { throw .EINVAL }
            if advice == MemoryAdvice.MADV_FREE, region.value.isShared || !region.value.isAnonymous { throw .EINVAL }
            if region.value.isShared { continue }  // the pages stay the file's
            let low = max(start, region.start), high = min(end, region.end)
            for piece in pieces(state, low, high) where piece.value.isOwned {
                if region.value.isAnonymous {
                    dropAnonymous(&state, piece, &operations, &dropped)
                } else {
                    dropped += state.runs.remove(piece.start, piece.end)
                    for run in (try? makeRuns(state, piece.start, piece.end, region.value.advanced(by: piece.start - region.start))) ?? [] {
                        state.runs.insert(run.start, run.end, run.value)
                        operations.append(mapOperation(run, region.value.protection))
                    }
                }
            }
        }
        try finishDropping(&state, operations, dropped)
    }

    /// Pages that nobody else has are zeroed in place, which no stub needs to hear of; shared ones are left to the others.
    private func dropAnonymous(
        _ state: inout SpaceState, _ piece: RunEntry, _ operations: inout [MappingOperation], _ dropped: inout [RunEntry]
    ) {
        var cursor = piece.start
        while cursor < piece.end {
            let offset = piece.value.offset &+ (cursor - piece.start)
            let sharing = memoryFile.isShared(at: offset, end: piece.value.offset &+ piece.length)
            let stop = cursor &+ (sharing.end &- offset)
            if !sharing.shared {
                try? memoryFile.discard(offset..<sharing.end)
            } else {
                // Not backed from here on: the next touch finds zeros.
                dropped += state.runs.remove(cursor, stop)
                operations.append(.unmap(address: cursor, length: stop - cursor))
            }
            cursor = stop
        }
    }

    private func finishDropping(_ state: inout SpaceState, _ operations: [MappingOperation], _ dropped: [RunEntry]) throws(Errno) {
        defer { discard(Removed(runs: dropped)) }
        try applyOrDie(&state, operations)
    }

    /// MADV_REMOVE: the object's own bytes become zero.
    private func removePages(_ state: inout SpaceState, _ start: UInt64, _ end: UInt64) throws(Errno) {
        var index = state.regions.index(endingAbove: start)
        while index < state.regions.count, state.regions[index].start < end {
            let region = state.regions[index]
            index += 1
            if region.value.flags.contains(.locked) { throw .EINVAL }
            guard region.value.isShared, let object = region.value.object else { throw .EINVAL }
            guard region.value.maximumProtection.contains(.write) else { throw .EACCES }
            let low = max(start, region.start), high = min(end, region.end)
            try object.discardMapping(offset: region.value.offset &+ (low - region.start), length: high - low)
        }
    }

    // MARK: populating

    /// Makes pages present; with `write` also private ones of one's own. EFAULT where the region forbids the access, ENOMEM at the limit.
    func populate(_ state: inout SpaceState, _ start: UInt64, _ end: UInt64, write: Bool) throws(Errno) {
        var cursor = start
        while cursor < end {
            guard let index = state.regions.index(containing: cursor) else { throw .ENOMEM }
            let region = state.regions[index]
            let high = min(region.end, end)
            if region.value.protection.isEmpty || (write && !region.value.protection.contains(.write)) { throw .EFAULT }
            var operations: [MappingOperation] = []
            try backMissing(&state, region: index, cursor, high, &operations)
            try apply(&state, operations)
            while cursor < high {
                guard let runIndex = state.runs.index(containing: cursor) else { throw .EFAULT }
                let run = state.runs[runIndex]
                if write, run.value.isCopyOnWrite || !run.value.isWritable {
                    if case .failure(let error) = makeWritable(&state, region: index, cursor) { throw error }
                    continue
                }
                let stop = min(run.end, high)
                if run.value.isMemory {
                    let offset = run.value.offset &+ (cursor - run.start)
                    try memoryFile.populate(offset..<offset &+ (stop - cursor))
                }
                cursor = stop
            }
        }
    }

    /// Populates what can be, as mlock(2) does.
    func populateRegions(_ state: inout SpaceState, _ start: UInt64, _ end: UInt64) throws(Errno) {
        let parts = state.regions.entries.filter { $0.end > start && $0.start < end && !$0.value.protection.isEmpty }
        for part in parts {
            let write = part.value.protection.contains(.write) && !part.value.isShared
            try? populate(&state, max(part.start, start), min(part.end, end), write: write)
        }
    }

    // MARK: mincore(2)

    /// mincore(2): one byte per page, bit 0 set when resident. ENOMEM for a range with holes. The caller bounds the length.
    public func mincore(_ address: UInt64, length: UInt64) throws(Errno) -> [UInt8] {
        guard address % pageSize == 0 else { throw .EINVAL }
        guard let end = rangeEnd(address, length, limit: layout.maximumAddress) else { throw .ENOMEM }
        return try state.withLock { state throws(Errno) -> [UInt8] in
            guard isMapped(state, address, end) else { throw .ENOMEM }
            var result = [UInt8](repeating: 0, count: Int((end - address) / pageSize))
            for run in pieces(state, address, end) {
                let first = Int((run.start - address) / pageSize)
                if case .host(let window) = run.value.source {
                    let pages = window.residence(run.value.offset, length: run.length)
                    for (index, page) in pages.enumerated() where first + index < result.count { result[first + index] = page }
                } else {
                    memoryFile.forEachResident(run.value.offset..<run.value.offset &+ run.length) { part in
                        var offset = part.lowerBound
                        while offset < part.upperBound {
                            result[first + Int((offset &- run.value.offset) / pageSize)] = 1
                            offset &+= pageSize
                        }
                    }
                }
            }
            return result
        }
    }
}

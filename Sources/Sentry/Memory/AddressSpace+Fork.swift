import Host
public import LinuxABI
public import SentryPlatform

/// fork(2) and what changes mappings from outside.
extension AddressSpace {
    /// A copy-on-write copy on `platform`. The parent's writable private pages are write-protected in one batch, the child's mappings are made in one.
    public func fork(on platform: any Platform) throws(Errno) -> AddressSpace {
        let child = try AddressSpace(platform: platform, memoryFile: memoryFile, layout: layout)
        do {
            try state.withLock { state throws(Errno) in
                if state.isDestroyed { throw .ESRCH }
                try copy(&state, to: child)
                child.platformSpace.inherit(from: platformSpace)
            }
        } catch {
            child.destroy()
            throw error
        }
        return child
    }

    private func copy(_ state: inout SpaceState, to child: AddressSpace) throws(Errno) {
        var copy = SpaceState(limits: state.limits, history: state.history)
        copy.breakStart = state.breakStart
        copy.breakEnd = state.breakEnd
        var protections: [MappingOperation] = []
        var mappings: [MappingOperation] = []
        var retained: [Range<UInt64>] = []
        var marked: [Range<UInt64>] = []
        let written = state.history.sortedPages
        var copies = PageCopies(memoryFile: memoryFile, count: written.count)
        defer { copies.releaseRest() }
        for region in state.regions.entries where !region.value.flags.contains(.dontFork) {
            var value = region.value
            value.flags.subtract([.locked, .lockedOnFault])
            copy.regions.append(region.start, region.end, value)
            copy.total &+= region.length
            if value.flags.contains(.wipeOnFork) { continue }
            for piece in pieces(state, region.start, region.end) {
                for run in value.protection.contains(.write) ? parts(of: piece, apart: written) : [piece] {
                    var run = run
                    if run.value.isOwned, run.length == pageSize, written.contains(run.start), let own = copies.next(of: run) {
                        run.value = own
                        copy.runs.append(run.start, run.end, run.value)
                        mappings.append(mapOperation(run, value.protection, populate: true))
                        continue
                    }
                    if run.value.isOwned {
                        retained.append(run.value.offset..<run.value.offset &+ run.length)
                        if !run.value.isCopyOnWrite {
                            run.value.isCopyOnWrite = true
                            append(run.start..<run.end, to: &marked)
                            if value.protection.contains(.write) { protect(run, value.protection.subtracting(.write), &protections) }
                        }
                    }
                    copy.runs.append(run.start, run.end, run.value)
                    mappings.append(mapOperation(run, value.protection))
                }
            }
        }
        copy.peakTotal = copy.total
        do throws(Errno) { try applyOrDie(&state, protections) } catch {
            copies.releaseAll()
            throw error
        }
        for range in marked {
            for index in state.runs.isolate(range.lowerBound, range.upperBound) { state.runs[index].value.isCopyOnWrite = true }
            state.runs.coalesce(range.lowerBound, range.upperBound)
        }
        memoryFile.retain(retained)
        let urgent = postpone(merged(mappings), in: &copy)
        let regions = copy.regions.entries
        child.adopt(copy)
        for region in regions { child.noteAdded(region.start, region.end, region.value) }
        // From here on the child's `destroy` gives everything back.
        if !urgent.isEmpty { try child.platformSpace.apply(urgent) }
    }

    /// Leaves most mappings of a child, each of which is a call of the host's, until it touches one: many a child only calls execve(2) or _exit(2). What is to be
    /// made at once: code, copies of pages that are written to after each fork, and where children have looked before.
    private func postpone(_ mappings: [MappingOperation], in copy: inout SpaceState) -> [MappingOperation] {
        var touched = copy.history.touchedPages[...]
        var urgent: [MappingOperation] = [], rest: [MappingOperation] = []
        for mapping in mappings {
            guard case .map(_, _, let protection, _, _, let populate) = mapping else { continue }
            let range = mapping.range
            touched = touched.drop { $0 < range.lowerBound }
            if populate || protection.contains(.execute) || touched.first.map(range.contains) == true {
                urgent.append(mapping)
            } else {
                rest.append(mapping)
            }
        }
        // A fault costs as much as several mappings; and too many may meet a limit of the host's, which fork(2) should hear of.
        guard rest.count >= Self.leastPostponed, rest.count <= Self.mostPostponed else { return mappings }
        copy.postponed = PostponedMappings(inherited: rest)
        return urgent
    }

    private static let leastPostponed = 4
    private static let mostPostponed = 1024

    /// A run in parts, such that each of `pages` (in order) that it holds is one of its own.
    private func parts(of run: RunEntry, apart pages: [UInt64]) -> [RunEntry] {
        guard run.value.isOwned, run.length > pageSize else { return [run] }
        var result: [RunEntry] = []
        var cursor = run.start
        func add(_ end: UInt64) {
            if cursor < end { result.append(RunEntry(start: cursor, end: end, value: run.value.advanced(by: cursor - run.start))) }
            cursor = end
        }
        for page in pages where page >= run.start && page < run.end {
            add(page)
            add(page + pageSize)
        }
        add(run.end)
        return result
    }

    private func adopt(_ copy: SpaceState) { state.withLock { $0.replace(with: copy) } }

    private func append(_ range: Range<UInt64>, to ranges: inout [Range<UInt64>]) {
        if let last = ranges.last, last.upperBound == range.lowerBound {
            ranges[ranges.count - 1] = last.lowerBound..<range.upperBound
        } else {
            ranges.append(range)
        }
    }

    /// One host call per stretch of equal protection.
    private func protect(_ run: RunEntry, _ protection: Protection, _ operations: inout [MappingOperation]) {
        if case .protect(let address, let length, let before) = operations.last, before == protection, address &+ length == run.start {
            operations[operations.count - 1] = .protect(address: address, length: length &+ run.length, protection: protection)
        } else {
            operations.append(.protect(address: run.start, length: run.length, protection: protection))
        }
    }

    /// Joins mappings of the memory file that continue each other.
    private func merged(_ operations: [MappingOperation]) -> [MappingOperation] {
        var result: [MappingOperation] = []
        result.reserveCapacity(operations.count)
        for operation in operations {
            if case .map(let address, let length, let protection, .memoryFile, let offset, let populate) = operation,
                case .map(let lastAddress, let lastLength, let lastProtection, .memoryFile, let lastOffset, let lastPopulate) = result.last,
                lastAddress &+ lastLength == address, lastOffset &+ lastLength == offset, lastProtection == protection,
                lastPopulate == populate
            {
                result[result.count - 1] = .map(
                    address: lastAddress, length: lastLength &+ length, protection: protection, file: .memoryFile, offset: lastOffset,
                    populate: populate)
            } else {
                result.append(operation)
            }
        }
        return result
    }

    /// `object`'s bytes in `range` (offsets into it) are gone (truncate) or have moved: touching them asks the object again. Copies that private
    /// mappings have made of them go too, as Linux does it. Called without the object's locks.
    public func invalidate(_ object: any MappableObject, _ range: Range<UInt64>) {
        let first = range.lowerBound & ~(pageSize - 1)
        let last = roundUpToPage(range.upperBound) ?? .max
        state.withLock { state in
            var operations: [MappingOperation] = []
            var removed = Removed()
            for region in state.regions.entries where region.value.object === object {
                let (objectEnd, overflow) = region.value.offset.addingReportingOverflow(region.length)
                guard !overflow, region.value.offset < last, objectEnd > first else { continue }
                let low = region.start &+ (max(first, region.value.offset) - region.value.offset)
                let high = region.start &+ (min(last, objectEnd) - region.value.offset)
                let runs = state.runs.remove(low, high)
                if runs.isEmpty { continue }
                removed.runs += runs
                operations.append(.unmap(address: low, length: high - low))
            }
            try? applyOrDie(&state, operations)
            discard(removed)
        }
    }

    /// prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME): shown as `[anon:NAME]`. EBADF for file mappings.
    public func setName(_ address: UInt64, length: UInt64, name: [UInt8]?) throws(Errno) {
        guard address % pageSize == 0, let end = rangeEnd(address, length, limit: layout.maximumAddress) else { throw .EINVAL }
        if address == end { return }
        try state.withLock { state throws(Errno) in
            let complete = isMapped(state, address, end)
            let label = name.map { RegionName(Array("[anon:".utf8) + $0 + Array("]".utf8)) }
            for index in state.regions.isolate(address, end) {
                guard state.regions[index].value.isAnonymous else { throw .EBADF }
                state.regions[index].value.name = label
            }
            state.regions.coalesce(address, end)
            if !complete { throw .ENOMEM }
        }
    }
}

/// Pages of a child's own, in one stretch of the memory file, filled one after the other.
private struct PageCopies {
    private let memoryFile: MemoryFile
    private let range: Range<UInt64>
    private var next: UInt64

    init(memoryFile: MemoryFile, count: Int) {
        self.memoryFile = memoryFile
        range = count == 0 ? 0..<0 : (try? memoryFile.allocate(UInt64(count) * pageSize)) ?? 0..<0
        next = range.lowerBound
    }

    /// A copy of a run of one page; nil when there is no memory for it, and then the page can be shared as well.
    mutating func next(of run: RunEntry) -> Run? {
        guard next < range.upperBound,
            memoryFile.writePages(from: memoryFile.address(run.value.offset), Int(pageSize), at: next) == Int(pageSize)
        else { return nil }
        defer { next += pageSize }
        return Run(source: .owned, offset: next, isCopyOnWrite: false, isWritable: true)
    }

    /// Gives back what no page was copied to.
    func releaseRest() { if next < range.upperBound { memoryFile.release(next..<range.upperBound) } }

    func releaseAll() { if range.lowerBound < next { memoryFile.release(range.lowerBound..<next) } }
}

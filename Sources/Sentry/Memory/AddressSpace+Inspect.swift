import Host
import LinuxABI
import SentryPlatform

/// What /proc/PID/{maps,smaps,statm,status} and getrusage(2) show.
extension AddressSpace {
    /// In address order. `measured`: with the resident counts of smaps (costs a walk of the pages).
    public func regions(measured: Bool = false) -> [Region] {
        state.withLock { state in
            var result: [Region] = []
            result.reserveCapacity(state.regions.count)
            for entry in state.regions.entries { result.append(describe(state, entry, measured: measured)) }
            if let vdsoAddress {
                result.append(
                    Region(
                        start: vdsoAddress, end: vdsoAddress + pageSize, protection: [.read, .execute], isShared: false, offset: 0,
                        identity: MappingIdentity(device: 0, inode: 0), name: Array("[vdso]".utf8), isLocked: false, growsDown: false))
            }
            return result
        }
    }

    /// The region that holds `address`, or nil.
    public func region(containing address: UInt64) -> Region? {
        state.withLock { state in
            state.regions.index(containing: address).map { describe(state, state.regions[$0], measured: false) }
        }
    }

    private func describe(_ state: borrowing SpaceState, _ entry: RegionEntry, measured: Bool) -> Region {
        let value = entry.value
        var name: [UInt8] = []
        if let given = value.name {
            name = given.bytes
        } else if let object = value.object {
            name = object.mappingPath
        } else if state.breakStart < state.breakEnd, entry.start < state.breakEnd, entry.end > state.breakStart {
            name = Array("[heap]".utf8)
        }
        var region = Region(
            start: entry.start, end: entry.end, protection: value.protection, isShared: value.isShared, offset: value.offset,
            identity: value.object?.mappingIdentity ?? MappingIdentity(device: 0, inode: 0), name: name,
            isLocked: value.flags.contains(.locked), growsDown: value.flags.contains(.growsDown))
        region.flagCodes = Self.flagCodes(value)
        if measured {
            for run in pieces(state, entry.start, entry.end) {
                let count = resident(run)
                region.resident &+= count
                if run.value.isOwned {
                    region.anonymous &+= count
                    if run.value.isCopyOnWrite, memoryFile.isShared(at: run.value.offset, end: run.value.offset &+ run.length).shared {
                        region.sharedResident &+= count
                    }
                } else {
                    region.sharedResident &+= count
                }
            }
        }
        return region
    }

    private func resident(_ run: RunEntry) -> UInt64 {
        if case .host(let window) = run.value.source {
            return window.resident(run.value.offset, length: run.length)
        }
        return memoryFile.resident(run.value.offset..<run.value.offset &+ run.length)
    }

    /// VmFlags of /proc/PID/smaps (fs/proc/task_mmu.c), with a space after each.
    private static func flagCodes(_ value: RegionValue) -> [UInt8] {
        var codes = ""
        if value.protection.contains(.read) { codes += "rd " }
        if value.protection.contains(.write) { codes += "wr " }
        if value.protection.contains(.execute) { codes += "ex " }
        if value.isShared { codes += "sh " }
        if value.maximumProtection.contains(.read) { codes += "mr " }
        if value.maximumProtection.contains(.write) { codes += "mw " }
        if value.maximumProtection.contains(.execute) { codes += "me " }
        if value.isShared && value.maximumProtection.contains(.write) { codes += "ms " }
        if value.flags.contains(.growsDown) { codes += "gd " }
        if value.flags.contains(.locked) { codes += "lo " }
        if value.flags.contains(.sequential) { codes += "sr " }
        if value.flags.contains(.random) { codes += "rr " }
        if value.flags.contains(.dontFork) { codes += "dc " }
        if value.flags.contains(.noReserve) { codes += "nr " }
        if value.flags.contains(.wipeOnFork) { codes += "wf " }
        if value.flags.contains(.dontDump) { codes += "dd " }
        if value.flags.contains(.hugePage) { codes += "hg " }
        if value.flags.contains(.noHugePage) { codes += "nh " }
        return Array(codes.utf8)
    }

    /// The sums for statm, status and getrusage. Measured at the call: the cost is proportional to the resident pages.
    public func statistics() -> MemoryStatistics {
        state.withLock { state in
            var result = MemoryStatistics()
            result.total = state.total
            result.peakTotal = max(state.peakTotal, state.total)
            result.regionCount = state.regions.count
            for entry in state.regions.entries {
                let value = entry.value
                if value.flags.contains(.locked) { result.locked &+= entry.length }
                if value.flags.contains(.growsDown) {
                    result.stack &+= entry.length
                } else if value.isData {
                    result.data &+= entry.length
                } else if value.protection.contains(.execute), !value.isShared {
                    result.text &+= entry.length
                }
            }
            for run in state.runs.entries {
                let count = resident(run)
                result.resident &+= count
                if !run.value.isOwned { result.sharedResident &+= count }
            }
            state.peakResident = max(state.peakResident, result.resident)
            result.peakResident = state.peakResident
            return result
        }
    }
}

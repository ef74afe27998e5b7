import Host
public import LinuxABI
public import SentryPlatform

/// A guest's memory: what it asked for (regions) over what backs it (runs of the memory file and of host files).
///
/// Invariant: every run is mapped in the stub at its address with `Run.effective` of its region's protection, or is to be (`SpaceState.postponed`), and nothing
/// else is mapped there, unless a batch failed; a fault on such a place maps it again.
///
/// Lock order, outermost first: the state of one address space (a fork takes the parent's, then fills the child's, which nobody knows yet), a mapped
/// object's locks, the platform's, a host window's, the memory file's.
public final class AddressSpace: Sendable {
    /// Anonymous regions up to this size are backed and mapped when made, larger ones piece by piece when touched.
    static let eagerLimit: UInt64 = 4 << 30
    static let pieceSize: UInt64 = 1 << 30
    /// Linux's default vm.heap-stack gap: pages kept free below a region that grows down.
    static let stackGuardGap: UInt64 = 256 * pageSize

    /// For `ExecutionContext.run`.
    public let platformSpace: any PlatformAddressSpace
    public let memoryFile: MemoryFile
    public let layout: AddressLayout
    /// Lowest address of MAP_FIXED mappings.
    let minimumAddress: UInt64
    /// Where the platform's vDSO is, outside what the guest can map.
    let vdsoAddress: UInt64?
    /// Where the platform may map memory of its own.
    let trampolines: Range<UInt64>?
    let state: Lock<SpaceState>

    /// `predecessor`: the memory of the program that the process runs so far, whose stub this one may have when that is destroyed.
    public init(
        platform: any Platform, memoryFile: MemoryFile, layout: AddressLayout, limits: MemoryLimits = MemoryLimits(),
        predecessor: AddressSpace? = nil
    ) throws(Errno) {
        if let predecessor, predecessor.memoryFile === memoryFile, let successor = predecessor.platformSpace.makeSuccessor() {
            platformSpace = successor
        } else {
            platformSpace = try platform.makeAddressSpace(memory: memoryFile.descriptor)
        }
        self.memoryFile = memoryFile
        self.layout = layout
        minimumAddress = platform.minimumGuestAddress
        vdsoAddress = platform.vdsoAddress
        trampolines = platform.trampolines
        state = Lock(SpaceState(limits: limits))
        platformSpace.attach(self)
    }

    deinit { destroy() }

    /// Resource limits of the calls from now on.
    public func setLimits(_ limits: MemoryLimits) { state.withLock { $0.limits = limits } }

    /// Gives everything back. No task runs here any more. Idempotent; also done when the last reference goes.
    ///
    /// The pages become free when no code of the stub can touch them any more, which the caller does not wait for (`MemoryFile.awaitReleases` does).
    public func destroy() {
        let removed = state.withLock { state -> Removed? in
            if state.isDestroyed { return nil }
            state.isDestroyed = true
            let removed = Removed(regions: state.regions.entries, runs: state.runs.entries)
            state.regions.removeAll()
            state.runs.removeAll()
            state.postponed = PostponedMappings()
            state.total = 0
            return removed
        }
        guard let removed else { return platformSpace.destroy() }
        if removed.runs.contains(where: { $0.value.isBorrowed }) {
            // Once told, an object may give its pages to somebody else: the stub loses them first.
            platformSpace.destroy()
            discard(removed)
        } else {
            for region in removed.regions { noteRemoved(region) }
            let owned = removed.owned
            if owned.isEmpty { return platformSpace.destroy {} }
            memoryFile.expectRelease()
            platformSpace.destroy { [memoryFile] in memoryFile.releaseExpected(owned) }
        }
    }

    // MARK: removal

    /// What was cut out of an address space. The stub must have lost it before `discard` gives the pages back.
    struct Removed {
        var regions: [RegionEntry] = []
        var runs: [RunEntry] = []

        /// The parts of the memory file on which references are held.
        var owned: [Range<UInt64>] {
            var owned: [Range<UInt64>] = []
            for run in runs where run.value.isOwned { owned.append(run.value.offset..<run.value.offset + run.length) }
            return owned
        }
    }

    /// Cuts [start, end) out of the books.
    func remove(_ state: inout SpaceState, _ start: UInt64, _ end: UInt64) -> Removed {
        let removed = Removed(regions: state.regions.remove(start, end), runs: state.runs.remove(start, end))
        for region in removed.regions { state.total &-= region.length }
        return removed
    }

    /// Lets go of what was cut out.
    func discard(_ removed: Removed) {
        for region in removed.regions { noteRemoved(region) }
        let owned = removed.owned
        if !owned.isEmpty { memoryFile.release(owned) }
    }

    func noteAdded(_ start: UInt64, _ end: UInt64, _ region: RegionValue) {
        region.object?.addMapping(
            self, offset: region.offset, length: end - start, shared: region.isShared, writable: region.maximumProtection.contains(.write))
    }

    private func noteRemoved(_ entry: RegionEntry) {
        entry.value.object?.removeMapping(
            self, offset: entry.value.offset, length: entry.length, shared: entry.value.isShared,
            writable: entry.value.maximumProtection.contains(.write))
    }

    // MARK: the stub

    /// Makes changes, after those that were postponed.
    func apply(_ state: inout SpaceState, _ operations: [MappingOperation]) throws(Errno) {
        if operations.isEmpty { return }
        if state.postponed.isEmpty { return try platformSpace.apply(operations) }
        let postponed = state.postponed.take()
        do {
            try platformSpace.apply(postponed + operations)
        } catch {
            // It may have been one of those, which a fault maps again.
            if error == .ESRCH { throw error }
            try platformSpace.apply(operations)
        }
    }

    /// Maps what the stub has nothing of: soon, or when the first of it is touched.
    func applyLater(_ state: inout SpaceState, _ mappings: [MappingOperation]) throws(Errno) {
        if platformSpace.isInhabited, state.postponed.count + mappings.count <= PostponedMappings.capacity {
            state.postponed.append(mappings)
        } else {
            try apply(&state, mappings)
        }
    }

    /// Whether the stub shows some of what was removed of [start, end), and not only was to.
    func isShown(_ removed: Removed, _ start: UInt64, _ end: UInt64, _ state: inout SpaceState) -> Bool {
        if removed.runs.isEmpty { return false }
        let lacking = state.postponed.cut(start, end)
        return removed.runs.reduce(0) { $0 &+ $1.length } != lacking
    }

    /// Applies a batch that must not half-succeed: when the host refuses it, the stub no longer agrees with the books and ends.
    func applyOrDie(_ state: inout SpaceState, _ operations: [MappingOperation]) throws(Errno) {
        do {
            try apply(&state, operations)
        } catch {
            platformSpace.destroy()
            throw error
        }
    }

    // MARK: backing

    /// The runs behind [start, end) of a region, none of which is backed yet. Parts that the object refuses (beyond its end) are left out.
    func makeRuns(_ state: borrowing SpaceState, _ start: UInt64, _ end: UInt64, _ region: RegionValue) throws(Errno) -> [RunEntry] {
        guard let object = region.object else {
            // Continue the neighbour's pages, so that runs and host mappings merge.
            var near: UInt64?
            let next = state.runs.index(startingAtOrAbove: start)
            if next > 0, state.runs[next - 1].end == start, state.runs[next - 1].value.isOwned {
                near = state.runs[next - 1].value.offset &+ state.runs[next - 1].length
            }
            let range = try memoryFile.allocate(end - start, near: near)
            return [
                RunEntry(
                    start: start, end: end, value: Run(source: .owned, offset: range.lowerBound, isCopyOnWrite: false, isWritable: true))
            ]
        }
        var runs: [RunEntry] = []
        let write = region.isShared && region.protection.contains(.write)
        var cursor = start
        while cursor < end {
            let offset = region.offset &+ (cursor - start)
            let backing: BackingRange
            do {
                backing = try object.backing(offset: offset, length: end - cursor, write: write)
            } catch .ENXIO {
                break
            }
            let length = min(backing.length & ~(pageSize - 1), end - cursor)
            guard length > 0 else { throw .EIO }
            let run =
                switch backing.source {
                case .memoryFile(let place):
                    Run(source: .borrowed, offset: place, isCopyOnWrite: !region.isShared, isWritable: write)
                case .descriptor(let descriptor, let place):
                    Run(
                        source: .host(HostWindows.window(of: descriptor)), offset: place, isCopyOnWrite: !region.isShared, isWritable: write
                    )
                }
            runs.append(RunEntry(start: cursor, end: cursor + length, value: run))
            cursor += length
        }
        return runs
    }

    /// The operation that maps a run, or part of it, into the stub.
    func mapOperation(_ run: RunEntry, _ protection: Protection, populate: Bool = false) -> MappingOperation {
        .map(
            address: run.start, length: run.length, protection: run.value.effective(protection), file: run.value.mappingSource,
            offset: run.value.offset, populate: populate)
    }

    /// Backs what is not backed of [start, end) inside the region at `index`, of large regions only the piece around `address`. The operations that
    /// map it are appended.
    func backMissing(
        _ state: inout SpaceState, region index: Int, _ start: UInt64, _ end: UInt64, around address: UInt64? = nil,
        _ operations: inout [MappingOperation]
    ) throws(Errno) {
        let region = state.regions[index]
        var low = max(start, region.start), high = min(end, region.end)
        if let address, region.length > Self.eagerLimit {
            low = max(low, address & ~(Self.pieceSize - 1))
            high = min(high, (address & ~(Self.pieceSize - 1)) + Self.pieceSize)
        }
        while low < high {
            let next = state.runs.index(endingAbove: low)
            if next < state.runs.count, state.runs[next].start <= low {
                low = state.runs[next].end
                continue
            }
            let gapEnd = next < state.runs.count ? min(high, state.runs[next].start) : high
            let value = region.value.advanced(by: low - region.start)
            for run in try makeRuns(state, low, gapEnd, value) {
                state.runs.insert(run.start, run.end, run.value)
                operations.append(mapOperation(run, value.protection))
            }
            low = gapEnd
        }
    }
}

import Host
public import LinuxABI
public import SentryPlatform

/// What a platform may do with guest code to shorten its system calls.
extension AddressSpace: GuestCode {
    public func constantCode(at address: UInt64, count: Int) -> [UInt8]? {
        let isConstant = state.withLock { state in
            guard let index = state.regions.index(containing: address), state.regions[index].end - address >= UInt64(count) else {
                return false
            }
            let region = state.regions[index].value
            return region.object != nil && !region.isShared && region.protection.contains(.execute) && !region.protection.contains(.write)
        }
        guard isConstant else { return nil }
        var bytes = [UInt8](repeating: 0, count: count)
        var span = bytes.mutableSpan
        guard let done = try? forceCopyIn(from: address, into: &span), done == count else { return nil }
        return bytes
    }

    public func replaceCode(at address: UInt64, with bytes: [UInt8]) throws(Errno) {
        let page = address & ~(pageSize - 1)
        guard address &+ UInt64(bytes.count) <= page &+ pageSize else { throw .EINVAL }
        try state.withLock { state throws(Errno) in
            guard !state.isDestroyed, let index = state.regions.index(containing: page), let runIndex = state.runs.index(containing: page)
            else {
                throw .EFAULT
            }
            let region = state.regions[index].value
            // Looked at again: the guest may have changed it since.
            guard region.object != nil, !region.isShared, region.protection.contains(.execute), !region.protection.contains(.write) else {
                throw .EACCES
            }
            let run = state.runs[runIndex]
            let source = run.value.advanced(by: page - run.start)
            let target = try memoryFile.allocate(pageSize)
            do throws(Errno) {
                switch source.source {
                case .owned, .borrowed: try memoryFile.copy(source.offset..<source.offset &+ pageSize, to: target.lowerBound)
                case .host(let window):
                    guard copyFromHost(window, source.offset, to: target.lowerBound, count: pageSize) > address - page else { throw .EIO }
                }
                try memoryFile.write(bytes.span, at: target.lowerBound + (address - page))
            } catch {
                memoryFile.release(target)
                throw error
            }
            let old = state.runs.remove(page, page + pageSize)
            let value = Run(source: .owned, offset: target.lowerBound, isCopyOnWrite: false, isWritable: true)
            state.runs.insert(page, page + pageSize, value)
            defer { discard(Removed(runs: old)) }
            try applyOrDie(
                &state, [mapOperation(RunEntry(start: page, end: page + pageSize, value: value), region.protection, populate: true)])
        }
    }

    public func mapTrampolines(at address: UInt64, length: UInt64) throws(Errno) {
        try state.withLock { state throws(Errno) in
            // A heap below would run into it.
            if state.breakStart < address + length, state.breakEnd > state.breakStart { throw .EEXIST }
            let request = MapRequest(
                address: address, length: length, protection: [.read, .execute],
                flags: [.MAP_PRIVATE, .MAP_ANONYMOUS, .MAP_FIXED_NOREPLACE], name: Array("[trampolines]".utf8))
            _ = try mapLocked(&state, request)
        }
    }

    public func writeTrampolines(at address: UInt64, _ bytes: [UInt8]) throws(Errno) {
        guard try forceCopyOut(bytes.span, to: address) == bytes.count else { throw .EIO }
    }
}

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
        return isConstant ? currentCode(at: address, count: count) : nil
    }

    public func currentCode(at address: UInt64, count: Int) -> [UInt8]? {
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
            _ = try mapLocked(&state, request, isUrgent: true)
        }
    }

    public func writeTrampolines(at address: UInt64, _ bytes: [UInt8]) throws(Errno) {
        guard try forceCopyOut(bytes.span, to: address) == bytes.count else { throw .EIO }
    }
}

extension AddressSpace {
    /// Part of a file that is mapped for execution.
    public struct MappedCode: Hashable, Sendable {
        /// Which file, and how long it was.
        public var file: MappingIdentity
        public var size: UInt64
        public var offset, length: UInt64
        public init(file: MappingIdentity, size: UInt64, offset: UInt64, length: UInt64) {
            self.file = file
            self.size = size
            self.offset = offset
            self.length = length
        }
    }

    /// What is mapped for execution between `start` and `end`, with its addresses.
    public func mappedCode(from start: UInt64 = 0, to end: UInt64 = .max) -> [(address: UInt64, code: MappedCode)] {
        state.withLock { state in
            var result: [(address: UInt64, code: MappedCode)] = []
            for index in 0..<state.regions.count {
                let entry = state.regions[index]
                if entry.end <= start { continue }
                if entry.start >= end { break }
                guard entry.value.protection.contains(.execute), let object = entry.value.object else { continue }
                result.append(
                    (
                        entry.start,
                        MappedCode(
                            file: object.mappingIdentity, size: object.mappableSize, offset: entry.value.offset,
                            length: entry.end - entry.start)
                    ))
            }
            return result
        }
    }

    /// Whether `word` stands anywhere in `length` bytes from `address` on, other than as the operand of an instruction that loads a constant (b8 to bf).
    /// nil when not all of it can be read.
    public func holdsWord(_ word: UInt32, at address: UInt64, length: UInt64) -> Bool? {
        let step = 1 << 16
        var buffer = [UInt8](repeating: 0, count: step)
        var place = address
        let end = address + length
        while place < end {
            var span = buffer.mutableSpan
            var part = span._mutatingExtracting(0..<min(step, Int(end - place)))
            guard let done = try? forceCopyIn(from: place, into: &part), done == part.count else { return nil }
            let bytes = buffer.span.extracting(0..<done)
            var from = 0
            while let index = bytes.firstIndex(of: word, from: from) {
                // The first word of a later piece was the last one of the piece before.
                if index == 0 ? place == address : bytes[index - 1] & 0xf8 != 0xb8 { return true }
                from = index + 1
            }
            // The pieces overlap, by what precedes a word too.
            if done < step { break }
            place += UInt64(step - 4)
        }
        return false
    }
}

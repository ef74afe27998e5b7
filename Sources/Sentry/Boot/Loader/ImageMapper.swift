import LinuxABI
import SentryMemory
import SentryPlatform
import SentryVFS

/// Reads ELF files and maps their segments into an address space.
struct ImageMapper {
    let space: AddressSpace
    let context: any FileContext
    let maximumAddress: UInt64

    /// Where an image ended up.
    struct Placement {
        /// Added to the addresses in the file.
        var bias: UInt64
        var entry: UInt64
        /// Lowest mapped address (AT_BASE of an interpreter).
        var base: UInt64
        /// Page-rounded end of the last segment: where the heap may begin.
        var end: UInt64
        var programHeaders: UInt64
    }

    /// `count` bytes at `offset`, or fewer at the end of the file.
    static func read(_ file: FileDescription, at offset: UInt64, count: Int, _ context: any FileContext) throws(Errno) -> [UInt8] {
        var buffer = IOBuffer.kernel(capacity: count)
        var position = Int64(clamping: offset)
        while buffer.remaining > 0 {
            let done = try file.read(at: position, into: &buffer, context)
            if done == 0 { break }
            position += Int64(done)
        }
        return buffer.bytes
    }

    /// Reads and checks the headers of an ELF file whose first bytes are `start`.
    func image(of file: FileDescription, start: [UInt8]) throws(Errno) -> ELFImage {
        let header = try ELFImage.parseHeader(start.span)
        let count = Int(header.programHeaderCount) * ELF.programHeaderSize
        guard header.programHeadersOffset <= UInt64(Int64.max) - UInt64(count) else { throw .ENOEXEC }
        let inStart = Int(clamping: header.programHeadersOffset)
        var bytes: [UInt8] = []
        if inStart <= start.count, count <= start.count - inStart {
            bytes = Array(start[inStart..<(inStart + count)])
        } else {
            bytes = try Self.read(file, at: header.programHeadersOffset, count: count, context)
        }
        return try ELFImage.parse(header, programHeaders: bytes.span, maximumAddress: maximumAddress)
    }

    /// Maps all segments. A relocatable image goes to `base`, or where mmap would put it when that is nil. Errors of execve(2) after the point of
    /// no return are the caller's to turn into SIGKILL or SIGSEGV.
    func map(_ image: ELFImage, of file: FileDescription, base wanted: UInt64?) throws(Errno) -> Placement {
        let object: any MappableObject = try file.mappable(context)
        let extent = image.extent
        let length = extent.upperBound - extent.lowerBound
        var bias: UInt64 = 0
        if image.isRelocatable {
            if let wanted {
                bias = (wanted & ~(image.alignment - 1)) &- extent.lowerBound
            } else {
                // Reserve the whole extent, so that the segments stay together, then map over it.
                let padded = image.alignment > pageSize ? length + image.alignment : length
                let place = try space.map(
                    MapRequest(address: 0, length: padded, protection: .none, flags: [.MAP_PRIVATE, .MAP_ANONYMOUS, .MAP_NORESERVE]))
                let aligned = (place + image.alignment - 1) & ~(image.alignment - 1)
                try space.unmap(place, length: padded)
                bias = aligned &- extent.lowerBound
            }
            guard extent.upperBound &+ bias <= maximumAddress, extent.lowerBound &+ bias >= pageSize else { throw .ENOMEM }
        }
        for segment in image.segments { try map(segment, object, bias: bias) }
        return Placement(
            bias: bias, entry: image.entry &+ bias, base: extent.lowerBound &+ bias, end: extent.upperBound &+ bias,
            programHeaders: image.programHeadersAddress.map { $0 &+ bias } ?? 0)
    }

    private func map(_ segment: ELFImage.Segment, _ object: any MappableObject, bias: UInt64) throws(Errno) {
        let start = segment.address &+ bias
        let page = start & ~(pageSize - 1)
        let fileEnd = start + segment.fileSize
        let memoryEnd = (start + segment.memorySize + pageSize - 1) & ~(pageSize - 1)
        var mappedEnd = page
        if segment.fileSize > 0 {
            mappedEnd = (fileEnd + pageSize - 1) & ~(pageSize - 1)
            var request = MapRequest(
                address: page, length: mappedEnd - page, protection: segment.protection, flags: [.MAP_PRIVATE, .MAP_FIXED, .MAP_DENYWRITE])
            request.object = object
            request.offset = segment.offset - (start - page)
            _ = try space.map(request)
            // The rest of the last page is bss up to its end: ld.so's first allocations come from there (padzero() of fs/binfmt_elf.c).
            if mappedEnd > fileEnd, segment.memorySize > segment.fileSize, segment.protection.contains(.write) {
                try space.zero(fileEnd, count: mappedEnd - fileEnd)
            }
        }
        if memoryEnd > mappedEnd {
            _ = try space.map(
                MapRequest(
                    address: mappedEnd, length: memoryEnd - mappedEnd, protection: segment.protection,
                    flags: [.MAP_PRIVATE, .MAP_ANONYMOUS, .MAP_FIXED]))
        }
    }
}

import LinuxABI
import SentryPlatform

/// What the loader needs of an ELF file (elf(5)), read and checked from bytes that a hostile guest may have written.
struct ELFImage: Equatable {
    /// One PT_LOAD program header.
    struct Segment: Equatable {
        var offset: UInt64
        var address: UInt64
        var fileSize: UInt64
        var memorySize: UInt64
        var protection: Protection
    }
    /// ET_DYN: addresses are relative to where the image is put.
    var isRelocatable: Bool
    var entry: UInt64
    var segments: [Segment]
    /// Where PT_INTERP's path lies in the file.
    var interpreter: Range<UInt64>?
    /// The program headers in memory (AT_PHDR), before relocation; nil when no segment holds them.
    var programHeadersAddress: UInt64?
    var programHeaderCount: UInt16
    /// PT_GNU_STACK asks for an executable stack.
    var wantsExecutableStack: Bool
    /// The largest p_align of the segments, for placing relocatable images.
    var alignment: UInt64

    /// The header fields needed to find the program headers.
    struct Header {
        var isRelocatable: Bool
        var entry: UInt64
        var programHeadersOffset: UInt64
        var programHeaderCount: UInt16
    }

    /// Reads the first 64 bytes. ENOEXEC for anything but a 64-bit x86 program; ELIBBAD is the caller's word for interpreters.
    static func parseHeader(_ bytes: Span<UInt8>) throws(Errno) -> Header {
        guard bytes.count >= ELF.headerSize, bytes[0] == 0x7f, bytes[1] == 0x45, bytes[2] == 0x4c, bytes[3] == 0x46 else { throw .ENOEXEC }
        guard bytes[4] == ELF.ELFCLASS64, bytes[5] == ELF.ELFDATA2LSB, bytes[6] == 1 else { throw .ENOEXEC }
        let type = bytes.little16(16)
        guard type == ELF.ET_EXEC || type == ELF.ET_DYN, bytes.little16(18) == ELF.EM_X86_64 else { throw .ENOEXEC }
        let count = bytes.little16(56)
        // Linux takes program headers of one page at most... its limit is 64 KiB; both bounds reject nonsense counts.
        guard bytes.little16(54) == UInt16(ELF.programHeaderSize), count >= 1, Int(count) * ELF.programHeaderSize <= 65536 else {
            throw .ENOEXEC
        }
        return Header(
            isRelocatable: type == ELF.ET_DYN, entry: bytes.little64(24), programHeadersOffset: bytes.little64(32),
            programHeaderCount: count)
    }

    /// Reads the program headers. Every sum is checked; segments must ascend and stay below `maximumAddress`.
    static func parse(_ header: Header, programHeaders bytes: Span<UInt8>, maximumAddress: UInt64) throws(Errno) -> ELFImage {
        var image = ELFImage(
            isRelocatable: header.isRelocatable, entry: header.entry, segments: [], interpreter: nil, programHeadersAddress: nil,
            programHeaderCount: header.programHeaderCount, wantsExecutableStack: false, alignment: pageSize)
        guard bytes.count >= Int(header.programHeaderCount) * ELF.programHeaderSize else { throw .ENOEXEC }
        var end: UInt64 = 0
        for index in 0..<Int(header.programHeaderCount) {
            let base = index * ELF.programHeaderSize
            let type = bytes.little32(base)
            let flags = bytes.little32(base + 4)
            let offset = bytes.little64(base + 8)
            let address = bytes.little64(base + 16)
            let fileSize = bytes.little64(base + 32)
            let memorySize = bytes.little64(base + 40)
            let alignment = bytes.little64(base + 48)
            switch type {
            case ELF.PT_LOAD:
                if memorySize == 0 { continue }
                let (memoryEnd, overflow) = address.addingReportingOverflow(memorySize)
                let (_, fileOverflow) = offset.addingReportingOverflow(fileSize)
                guard !overflow, !fileOverflow, fileSize <= memorySize, memoryEnd <= maximumAddress, offset <= UInt64(Int64.max) - fileSize,
                    address % pageSize == offset % pageSize || fileSize == 0
                else { throw .ENOEXEC }
                guard address >= end || image.segments.isEmpty else { throw .ENOEXEC }
                end = memoryEnd
                var protection: Protection = []
                if flags & ELF.PF_R != 0 { protection.insert(.read) }
                if flags & ELF.PF_W != 0 { protection.insert(.write) }
                if flags & ELF.PF_X != 0 { protection.insert(.execute) }
                image.segments.append(
                    Segment(offset: offset, address: address, fileSize: fileSize, memorySize: memorySize, protection: protection))
                if alignment > image.alignment, alignment & (alignment - 1) == 0, alignment <= 1 << 30 { image.alignment = alignment }
                if image.programHeadersAddress == nil, header.programHeadersOffset >= offset,
                    header.programHeadersOffset - offset < fileSize
                {
                    image.programHeadersAddress = address + (header.programHeadersOffset - offset)
                }
            case ELF.PT_INTERP:
                guard image.interpreter == nil else { continue }
                guard fileSize >= 2, fileSize <= 4096, offset <= UInt64(Int64.max) - fileSize else { throw .ENOEXEC }
                image.interpreter = offset..<(offset + fileSize)
            case ELF.PT_GNU_STACK:
                image.wantsExecutableStack = flags & ELF.PF_X != 0
            default:
                continue
            }
        }
        guard !image.segments.isEmpty else { throw .ENOEXEC }
        return image
    }

    /// First page and end (page-rounded) of all segments, before relocation.
    var extent: Range<UInt64> {
        let low = (segments.first?.address ?? 0) & ~(pageSize - 1)
        let last = segments.last.map { $0.address + $0.memorySize } ?? low
        return low..<((last + pageSize - 1) & ~(pageSize - 1))
    }
}

extension Span<UInt8> {
    /// A little-endian field. Precondition: it lies within the span.
    func little16(_ at: Int) -> UInt16 { UInt16(self[at]) | UInt16(self[at + 1]) << 8 }
    func little32(_ at: Int) -> UInt32 { UInt32(little16(at)) | UInt32(little16(at + 2)) << 16 }
    func little64(_ at: Int) -> UInt64 { UInt64(little32(at)) | UInt64(little32(at + 4)) << 32 }
}

import Host
import LinuxABI
import SentryPlatform

/// The Sentry's own view of a host file that guests have mapped: pieces of it, mapped when first looked at. Its lock is innermost.
final class HostWindow: Sendable {
    private static let pieceSize: UInt64 = 1 << 20
    /// So that a guest that maps much cannot use up the Sentry's mappings.
    private static let maximumPieces = 256

    let descriptor: SharedDescriptor
    let isWritable: Bool
    private struct Piece {
        let address: UInt
        /// A bit for each page: see `withPromptAddress`.
        private var warmth = InlineArray<4, UInt64>(repeating: 0)
        init(address: UInt) { self.address = address }
        func isWarm(_ page: Int) -> Bool { warmth[page / 64] >> UInt64(page % 64) & 1 != 0 }
        mutating func warm(_ page: Int) { warmth[page / 64] |= 1 << UInt64(page % 64) }
    }
    private let pieces = Lock<[UInt64: Piece]>([:])

    init(_ descriptor: SharedDescriptor) {
        self.descriptor = descriptor
        // O_ACCMODE of F_GETFL
        isWritable = HostCall.raw(.fcntl, Int(descriptor.rawValue), 3, 0) & 3 == 2
    }

    deinit {
        pieces.withLock { pieces in
            for piece in pieces.values { _ = HostCall.raw(.munmap, Int(bitPattern: piece.address), Int(Self.pieceSize)) }
        }
    }

    /// Runs `body` with the address of the file's byte `offset` and how many bytes follow it in the same piece. Touching it may fault.
    /// nil when the host cannot map it.
    func withAddress<R>(_ offset: UInt64, _ body: (UInt, Int) -> R) -> R? {
        let piece = offset / Self.pieceSize
        return pieces.withLock { pieces -> R? in
            var address = pieces[piece]?.address
            if address == nil {
                if pieces.count >= Self.maximumPieces, let victim = pieces.keys.first, let old = pieces.removeValue(forKey: victim) {
                    _ = HostCall.raw(.munmap, Int(bitPattern: old.address), Int(Self.pieceSize))
                }
                let result = HostCall.raw(
                    .mmap, 0, Int(Self.pieceSize), isWritable ? 3 : 1, 1, Int(descriptor.rawValue),
                    Int(truncatingIfNeeded: piece * Self.pieceSize))
                if result > 0 || result < -4095 {
                    address = UInt(bitPattern: result)
                    pieces[piece] = Piece(address: UInt(bitPattern: result))
                }
            }
            guard let address else { return nil }
            let inside = offset % Self.pieceSize
            return body(address &+ UInt(inside), Int(Self.pieceSize - inside))
        }
    }

    /// Runs `body`, which returns how many bytes it did not do, with the address of `count` bytes that can be read at once, for all that is known: the pages have been asked for
    /// before, and whoever was sent away then has touched them since. `count` otherwise; nil while somebody else is here.
    func withPromptAddress(_ offset: UInt64, _ count: Int, _ body: (UInt) -> Int) -> Int? {
        pieces.withLockIfAvailable { pieces in
            let inside = offset % Self.pieceSize
            guard count > 0, inside + UInt64(count) <= Self.pieceSize, let piece = pieces[offset / Self.pieceSize] else { return count }
            let pages = Int(inside / pageSize)...Int((inside + UInt64(count) - 1) / pageSize)
            if pages.allSatisfy({ piece.isWarm($0) }) { return body(piece.address &+ UInt(inside)) }
            for page in pages { pieces[offset / Self.pieceSize]?.warm(page) }
            return count
        }
    }

    /// Which pages of a range are in the host's page cache: one byte each as mincore(2) gives them.
    func residence(_ offset: UInt64, length: UInt64) -> [UInt8] {
        var result: [UInt8] = []
        var cursor = offset
        while cursor < offset + length {
            let left = offset + length - cursor
            let part = withAddress(cursor) { address, available -> [UInt8] in
                let count = min(UInt64(available), left)
                var pages = [UInt8](repeating: 0, count: Int(count / pageSize))
                // SAFETY: the kernel writes one byte for each page of the range into an array of that size.
                unsafe pages.withUnsafeMutableBufferPointer { p in
                    _ = HostCall.raw(.mincore, Int(bitPattern: address), Int(count), Int(bitPattern: p.baseAddress))
                }
                return pages
            }
            guard let part, !part.isEmpty else { break }
            result += part.map { $0 & 1 }
            cursor += UInt64(part.count) * pageSize
        }
        while UInt64(result.count) * pageSize < length { result.append(0) }
        return result
    }
}

extension HostWindow {
    /// Bytes of a range that are in the host's page cache.
    func resident(_ offset: UInt64, length: UInt64) -> UInt64 {
        var sum: UInt64 = 0
        var cursor = offset
        while cursor < offset + length {
            let part = withAddress(cursor) { address, available -> UInt64 in
                let count = min(UInt64(available), offset + length - cursor, 512 * pageSize)
                sum += Self.resident(at: address, count)
                return count
            }
            guard let part, part > 0 else { break }
            cursor += part
        }
        return sum
    }

    /// The same of at most 512 pages at an address of the Sentry's.
    private static func resident(at address: UInt, _ length: UInt64) -> UInt64 {
        var pages = InlineArray<512, UInt8>(repeating: 0)
        var span = pages.mutableSpan
        // SAFETY: mincore writes one byte per page.
        _ = unsafe span.withUnsafeMutableBufferPointer { p in
            HostCall.raw(.mincore, Int(bitPattern: address), Int(length), Int(bitPattern: p.baseAddress))
        }
        var count: UInt64 = 0
        for index in 0..<512 { count += UInt64(pages[index] & 1) }
        return count * pageSize
    }
}

/// One window per descriptor, so that regions and address spaces share it.
enum HostWindows {
    private final class Reference: Sendable {
        weak let window: HostWindow?
        init(_ window: HostWindow) { self.window = window }
    }
    private static let table = Lock<[ObjectIdentifier: Reference]>([:])

    static func window(of descriptor: SharedDescriptor) -> HostWindow {
        table.withLock { table in
            // An entry whose window is gone may carry the identity of a descriptor object that no longer exists.
            if let window = table[ObjectIdentifier(descriptor)]?.window, window.descriptor === descriptor { return window }
            if table.count > 1024 { table = table.filter { $0.value.window != nil } }
            let window = HostWindow(descriptor)
            table[ObjectIdentifier(descriptor)] = Reference(window)
            return window
        }
    }
}

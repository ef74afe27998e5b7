/// Hashing of file names, seeded at start so that a guest cannot choose names that collide.
enum NameHash {
    private static let seed = UInt64.random(in: .min ... .max)

    /// The hash of `bytes[range]`; never 0.
    @inline(__always) static func hash(_ bytes: Span<UInt8>, _ range: Range<Int>) -> UInt64 {
        var h = seed
        var index = range.lowerBound
        while index < range.upperBound {
            h = (h ^ UInt64(bytes[index])) &* 0x100_0000_01b3
            index &+= 1
        }
        h ^= h >> 29
        h = h &* 0xbf58_476d_1ce4_e5b9
        h ^= h >> 32
        return h | 1
    }

    static func hash(_ name: [UInt8]) -> UInt64 { hash(name.span, 0..<name.count) }
}

/// A name as a key. Hashed as names are, not byte by byte as arrays.
public struct NameKey: Hashable, Sendable {
    public let bytes: [UInt8]
    private let hash: UInt64

    public init(_ bytes: [UInt8]) {
        self.bytes = bytes
        hash = NameHash.hash(bytes)
    }
    public static func == (a: NameKey, b: NameKey) -> Bool { a.hash == b.hash && a.bytes == b.bytes }
    public func hash(into hasher: inout Hasher) { hasher.combine(hash) }
}

/// The cached children of a directory: open addressing with linear probing, looked up by a slice of a path without making an array of it.
struct DentryTable: Sendable {
    /// Hash of each slot; 0 means free.
    private var hashes: [UInt64] = []
    private var names: [[UInt8]] = []
    private var dentries: [Dentry?] = []
    private(set) var count = 0

    init() {}

    /// The child called `bytes[range]`, whose hash is `hash`.
    func find(_ bytes: Span<UInt8>, _ range: Range<Int>, hash: UInt64) -> Dentry? {
        let index = slot(bytes, range, hash: hash)
        return index < 0 ? nil : dentries[index]
    }

    func find(_ name: [UInt8]) -> Dentry? { find(name.span, 0..<name.count, hash: NameHash.hash(name)) }

    private func slot(_ bytes: Span<UInt8>, _ range: Range<Int>, hash: UInt64) -> Int {
        if count == 0 { return -1 }
        let mask = hashes.count &- 1
        var index = Int(truncatingIfNeeded: hash) & mask
        while hashes[index] != 0 {
            if hashes[index] == hash, Self.matches(names.span, index, bytes, range) { return index }
            index = (index &+ 1) & mask
        }
        return -1
    }

    @inline(__always) private static func matches(_ names: Span<[UInt8]>, _ slot: Int, _ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        guard names[slot].count == range.count else { return false }
        var index = 0
        while index < range.count {
            if names[slot][index] != bytes[range.lowerBound &+ index] { return false }
            index &+= 1
        }
        return true
    }

    /// Adds or replaces the child of that name; the dentry it replaced.
    mutating func insert(_ dentry: Dentry, name: [UInt8], hash: UInt64) -> Dentry? {
        let existing = slot(name.span, 0..<name.count, hash: hash)
        if existing >= 0 {
            let old = dentries[existing]
            dentries[existing] = dentry
            return old
        }
        if (count &+ 1) &* 4 > hashes.count &* 3 { grow(to: max(4, hashes.count &* 2)) }
        place(dentry, name, hash)
        count &+= 1
        return nil
    }

    private mutating func place(_ dentry: Dentry?, _ name: [UInt8], _ hash: UInt64) {
        let mask = hashes.count &- 1
        var index = Int(truncatingIfNeeded: hash) & mask
        while hashes[index] != 0 { index = (index &+ 1) & mask }
        hashes[index] = hash
        names[index] = name
        dentries[index] = dentry
    }

    private mutating func grow(to capacity: Int) {
        let old = self
        hashes = [UInt64](repeating: 0, count: capacity)
        names = [[UInt8]](repeating: [], count: capacity)
        dentries = [Dentry?](repeating: nil, count: capacity)
        for index in old.hashes.indices where old.hashes[index] != 0 { place(old.dentries[index], old.names[index], old.hashes[index]) }
    }

    /// Removes the entry of that name when it is `dentry`.
    mutating func remove(_ dentry: Dentry, name: [UInt8], hash: UInt64) -> Bool {
        let index = slot(name.span, 0..<name.count, hash: hash)
        guard index >= 0, dentries[index] === dentry else { return false }
        close(index)
        return true
    }

    /// Removes the entry of that name when it is `dentry` and nobody but this table and `dentry` itself holds it.
    mutating func removeIfSole(_ dentry: inout Dentry?, name: [UInt8], hash: UInt64) -> Bool {
        let index = slot(name.span, 0..<name.count, hash: hash)
        guard index >= 0, dentries[index] === dentry else { return false }
        dentries[index] = nil
        if isKnownUniquelyReferenced(&dentry) {
            close(index)
            return true
        }
        dentries[index] = dentry
        return false
    }

    /// Frees a slot and moves back every later entry of the run that may stand there.
    private mutating func close(_ freed: Int) {
        count &-= 1
        if count == 0 {
            self = DentryTable()
            return
        }
        var hole = freed
        let mask = hashes.count &- 1
        var index = (hole &+ 1) & mask
        while hashes[index] != 0 {
            let home = Int(truncatingIfNeeded: hashes[index]) & mask
            if (index &- home) & mask >= (index &- hole) & mask {
                hashes[hole] = hashes[index]
                names.swapAt(hole, index)
                dentries.swapAt(hole, index)
                hole = index
            }
            index = (index &+ 1) & mask
        }
        hashes[hole] = 0
        names[hole] = []
        dentries[hole] = nil
    }

    /// Every child, negative ones included.
    var all: [Dentry] { dentries.compactMap { $0 } }
}

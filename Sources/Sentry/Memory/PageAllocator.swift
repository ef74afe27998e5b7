import LinuxABI
import SentryPlatform

/// How many more references than one a range of pages has.
private struct ExtraReferences: RangeValue {
    var count: Int
    func advanced(by distance: UInt64) -> ExtraReferences { self }
    func continues(_ previous: ExtraReferences, after length: UInt64) -> Bool { count == previous.count }
}

/// Hands out ranges of the memory file and counts their references. Free ranges are found by size class in constant time and merge with their
/// neighbours. Only what has more than one reference takes room in the books.
struct PageAllocator {
    private let capacity: UInt64
    /// First byte never handed out so far.
    private var top: UInt64 = 0
    /// Free ranges below `top`: length by start, start by end.
    private var lengthByStart: [UInt64: UInt64] = [:]
    private var startByEnd: [UInt64: UInt64] = [:]
    /// Starts of free ranges by the logarithm of their page count. Entries that are no longer true are dropped when met.
    private var classes: [[UInt64]] = Array(repeating: [], count: 64)
    private var extra = RangeMap<ExtraReferences>()
    private(set) var allocated: UInt64 = 0

    init(capacity: UInt64) { self.capacity = capacity }

    private static func sizeClass(_ length: UInt64) -> Int { 63 - max(1, length / pageSize).leadingZeroBitCount }

    /// `near`: where the range would best begin, so that it continues a neighbour's.
    mutating func allocate(_ length: UInt64, near: UInt64? = nil) throws(Errno) -> UInt64 {
        if let near {
            if let free = lengthByStart[near], free >= length { return take(near, free, length) }
            if near == top, length <= capacity - top { return grow(length) }
        }
        let exact = Self.sizeClass(length)
        // In the own class a range may be too short: look at a few; in the classes above every one fits.
        var looked = 0, index = classes[exact].count - 1
        while index >= 0, looked < 8 {
            let start = classes[exact][index]
            if let free = lengthByStart[start], Self.sizeClass(free) == exact {
                if free >= length { return take(start, free, length) }
                looked += 1
            } else {
                classes[exact].remove(at: index)
            }
            index -= 1
        }
        for above in (exact + 1)..<64 {
            while let start = classes[above].last {
                if let free = lengthByStart[start], Self.sizeClass(free) == above { return take(start, free, length) }
                classes[above].removeLast()
            }
        }
        guard length <= capacity - top else { throw .ENOMEM }
        return grow(length)
    }

    private mutating func grow(_ length: UInt64) -> UInt64 {
        defer { top += length }
        allocated += length
        return top
    }

    private mutating func take(_ start: UInt64, _ free: UInt64, _ length: UInt64) -> UInt64 {
        lengthByStart[start] = nil
        if free > length {
            insert(start + length, free - length)
        } else {
            startByEnd[start + free] = nil
        }
        allocated += length
        return start
    }

    private mutating func insert(_ start: UInt64, _ length: UInt64) {
        lengthByStart[start] = length
        startByEnd[start + length] = start
        classes[Self.sizeClass(length)].append(start)
    }

    /// Puts a range without references back; its pages have been zeroed.
    mutating func free(_ start: UInt64, _ length: UInt64) {
        allocated -= length
        var start = start, length = length
        if let before = startByEnd[start], let beforeLength = lengthByStart[before] {
            lengthByStart[before] = nil
            startByEnd[start] = nil
            start = before
            length += beforeLength
        }
        if let after = lengthByStart[start + length] {
            lengthByStart[start + length] = nil
            startByEnd[start + length + after] = nil
            length += after
        }
        insert(start, length)
    }

    mutating func retain(_ range: Range<UInt64>) {
        let indices = extra.isolate(range.lowerBound, range.upperBound)
        var cursor = range.lowerBound
        var gaps: [Range<UInt64>] = []
        for index in indices {
            if cursor < extra[index].start { gaps.append(cursor..<extra[index].start) }
            cursor = extra[index].end
            extra[index].value.count += 1
        }
        if cursor < range.upperBound { gaps.append(cursor..<range.upperBound) }
        for gap in gaps { extra.insert(gap.lowerBound, gap.upperBound, ExtraReferences(count: 1)) }
        extra.coalesce(range.lowerBound, range.upperBound)
    }

    /// Takes one reference away; the parts that have none left, for the caller to zero and `free`.
    mutating func release(_ range: Range<UInt64>) -> [Range<UInt64>] {
        if extra.isEmpty(range.lowerBound, range.upperBound) { return [range] }
        var unused: [Range<UInt64>] = []
        var cursor = range.lowerBound
        for entry in extra.remove(range.lowerBound, range.upperBound) {
            if cursor < entry.start { unused.append(cursor..<entry.start) }
            cursor = entry.end
            if entry.value.count > 1 { extra.insert(entry.start, entry.end, ExtraReferences(count: entry.value.count - 1)) }
        }
        if cursor < range.upperBound { unused.append(cursor..<range.upperBound) }
        return unused
    }

    /// Whether the page at `offset` has several references, and up to where (at most `end`) that holds.
    func isShared(at offset: UInt64, end: UInt64) -> (shared: Bool, end: UInt64) {
        let index = extra.index(endingAbove: offset)
        guard index < extra.count, extra[index].start < end else { return (false, end) }
        if extra[index].start > offset { return (false, extra[index].start) }
        var last = extra[index].end, next = index + 1
        while last < end, next < extra.count, extra[next].start == last {
            last = extra[next].end
            next += 1
        }
        return (true, min(last, end))
    }
}

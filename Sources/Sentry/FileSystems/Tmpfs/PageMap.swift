import LinuxABI
import SentryMemory
import SentryPlatform

/// Which pages of a sparse file exist and where in the memory file they are: runs in order of their place in the file. Units: pages for places in the
/// file, bytes for places in the memory file.
struct PageMap: Sendable {
    struct Run: Sendable {
        /// First page in the file.
        var page: UInt64
        var count: UInt64
        /// Offset of that page in the memory file.
        var memory: UInt64
        var end: UInt64 { page + count }
    }
    private(set) var runs: [Run] = []
    /// How many pages there are.
    private(set) var count: UInt64 = 0
    /// Allocated behind the last run, for the next append: keeps runs long when many files grow at once.
    private var spare: Range<UInt64> = 0..<0

    /// The index of the first run that ends after `page`.
    private func index(after page: UInt64) -> Int {
        // Appends and sequential reads look at the end or the beginning.
        if let last = runs.last, page >= last.page { return page < last.end ? runs.count - 1 : runs.count }
        var low = 0
        var high = runs.count
        while low < high {
            let middle = (low + high) / 2
            if runs[middle].end <= page { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// What is at `page`: the place in the memory file, or nil for a hole; and how many pages are like it (for a trailing hole: `.max`).
    func find(_ page: UInt64) -> (memory: UInt64?, count: UInt64) {
        let index = index(after: page)
        guard index < runs.count else { return (nil, .max) }
        let run = runs[index]
        if run.page <= page { return (run.memory + (page - run.page) * pageSize, run.end - page) }
        return (nil, run.page - page)
    }

    /// Fills the hole that begins at `page` with at most `wanted` zero pages. Precondition: `page` is a hole.
    mutating func fill(_ page: UInt64, wanted: UInt64, _ memory: MemoryFile) throws(Errno) -> (memory: UInt64, count: UInt64) {
        let index = index(after: page)
        let room = index < runs.count ? runs[index].page - page : .max
        let needed = min(wanted, room)
        var range: Range<UInt64>
        if !spare.isEmpty, index > 0, runs[index - 1].end == page, index == runs.count {
            range = spare.lowerBound..<min(spare.upperBound, spare.lowerBound + needed * pageSize)
            spare = range.upperBound..<spare.upperBound
        } else if index == runs.count {
            // Growing at the end: take some more than is needed now, the more the larger the file is, up to 1 MiB.
            let extra = min(count, 256)
            releaseSpare(memory)
            range = try memory.allocate((needed + extra) * pageSize)
            spare = (range.lowerBound + needed * pageSize)..<range.upperBound
            range = range.lowerBound..<spare.lowerBound
        } else {
            range = try memory.allocate(needed * pageSize)
        }
        let filled = UInt64(range.count) / pageSize
        insert(Run(page: page, count: filled, memory: range.lowerBound), at: index)
        count += filled
        return (range.lowerBound, filled)
    }

    private mutating func insert(_ run: Run, at index: Int) {
        if index > 0, runs[index - 1].end == run.page, runs[index - 1].memory + runs[index - 1].count * pageSize == run.memory {
            runs[index - 1].count += run.count
        } else {
            runs.insert(run, at: index)
        }
    }

    /// Takes the pages of `range` out of the file; their places in the memory file, which the caller releases.
    mutating func remove(_ range: Range<UInt64>) -> [Range<UInt64>] {
        var removed: [Range<UInt64>] = []
        let first = index(after: range.lowerBound)
        var last = first
        var kept: [Run] = []
        while last < runs.count, runs[last].page < range.upperBound {
            let run = runs[last]
            let low = max(run.page, range.lowerBound), high = min(run.end, range.upperBound)
            let start = run.memory + (low - run.page) * pageSize
            removed.append(start..<(start + (high - low) * pageSize))
            count -= high - low
            if run.page < low { kept.append(Run(page: run.page, count: low - run.page, memory: run.memory)) }
            if high < run.end { kept.append(Run(page: high, count: run.end - high, memory: run.memory + (high - run.page) * pageSize)) }
            last += 1
        }
        runs.replaceSubrange(first..<last, with: kept)
        return removed
    }

    /// Gives back what was allocated ahead.
    mutating func releaseSpare(_ memory: MemoryFile) {
        if !spare.isEmpty { memory.release(spare) }
        spare = 0..<0
    }
}

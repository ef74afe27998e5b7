import Host

/// The pages that a process and those forked from it write to soon after a fork: stacks, the thread's data, the C library's lists. After the next fork
/// they will be written again, so the child is given copies at once, and the parent keeps its own writable: else each would fault on every one.
final class ForkHistory: Sendable {
    /// As many pages are copied for a child at most. Interpreters write to about a hundred after each fork; a fault for one of them costs as much as some twenty
    /// copies.
    static let capacity = 128
    /// Addresses of pages, latest last.
    private let pages = Lock<[UInt64]>([])
    /// Those that children touched before anything was mapped there.
    private let touched = Lock<[UInt64]>([])

    /// `page` had to be copied, or taken back, after a fork.
    func note(_ page: UInt64) { pages.withLock { Self.append(page, to: &$0) } }

    /// A child has found nothing at `page`, whose mapping had been postponed.
    func noteTouched(_ page: UInt64) { touched.withLock { Self.append(page, to: &$0) } }

    private static func append(_ page: UInt64, to pages: inout [UInt64]) {
        if let index = pages.firstIndex(of: page) {
            pages.remove(at: index)
        } else if pages.count == capacity {
            pages.removeFirst()
        }
        pages.append(page)
    }

    /// In address order.
    var sortedPages: [UInt64] { pages.withLock { $0.sorted() } }
    /// Where children are known to look, in address order.
    var touchedPages: [UInt64] { touched.withLock { $0.sorted() } }
}

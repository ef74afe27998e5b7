import Diagnostics
import FileProtocol
import Host
import LinuxABI

/// The files that one client holds, by handle, and the descriptors behind them.
///
/// Handles are many, descriptors few: beyond the budget the clock algorithm closes descriptors that were not used lately and that can be
/// opened again.
final class NodeTable {
    private var slots: [ServedNode?] = []
    private var free: [UInt32] = []
    /// Nodes with a descriptor, in the order of the clock.
    private var open: [ServedNode] = []
    private var hand = 0
    private var pinned = 0
    /// Most handles that a client may hold.
    let handleLimit: Int
    /// Most descriptors that nodes hold.
    let descriptorLimit: Int

    init(handleLimit: Int, descriptorLimit: Int) {
        self.handleLimit = handleLimit
        self.descriptorLimit = max(descriptorLimit, 16)
    }

    deinit {
        ServerMetrics.handles.subtract(UInt64(count))
        ServerMetrics.descriptors.subtract(UInt64(open.count))
    }

    /// Handles in use.
    var count: Int { slots.count - free.count }
    /// Descriptors that nodes hold.
    var openCount: Int { open.count }

    /// Gives a node a handle. ENFILE at the limit.
    func insert(_ node: ServedNode) throws(Errno) -> UInt32 {
        if let handle = free.popLast() {
            slots[Int(handle) - 1] = node
            ServerMetrics.handles.add()
            return handle
        }
        guard slots.count < handleLimit else { throw .ENFILE }
        slots.append(node)
        ServerMetrics.handles.add()
        return UInt32(slots.count)
    }

    /// The node of a handle, or EBADF.
    func node(_ handle: UInt32) throws(Errno) -> ServedNode {
        let index = Int(handle) - 1
        guard index >= 0, index < slots.count, let node = slots[index] else { throw .EBADF }
        return node
    }

    /// Takes a handle back; unknown ones are ignored.
    func remove(_ handle: UInt32) {
        let index = Int(handle) - 1
        guard index >= 0, index < slots.count, let node = slots[index] else { return }
        slots[index] = nil
        free.append(handle)
        ServerMetrics.handles.subtract()
        // As a parent of other nodes it can be opened again; pinned, it cannot, and then has none.
        if !node.isRoot { forget(node) }
    }

    /// Hands the node a descriptor, closing another one if the budget is used up. ENFILE when all are pinned.
    func attach(_ descriptor: SharedDescriptor, to node: ServedNode) throws(Errno) {
        if node.descriptor != nil {
            node.descriptor = descriptor
            return
        }
        if open.count >= descriptorLimit { try evict() }
        node.descriptor = descriptor
        node.wasUsed = true
        node.clockPosition = open.count
        open.append(node)
        ServerMetrics.descriptors.add()
    }

    /// Keeps the node's descriptor open from now on. ENFILE when too many are kept.
    func pin(_ node: ServedNode) throws(Errno) {
        if node.isPinned { return }
        guard pinned < descriptorLimit - descriptorLimit / 4 else { throw .ENFILE }
        pinned += 1
        node.isPinned = true
    }

    /// The reverse of `pin`.
    func unpin(_ node: ServedNode) {
        guard node.isPinned else { return }
        pinned -= 1
        node.isPinned = false
    }

    private func evict() throws(Errno) {
        // Two rounds: the first may only clear marks.
        for _ in 0..<(2 * open.count + 1) {
            if hand >= open.count { hand = 0 }
            guard hand < open.count else { break }
            let node = open[hand]
            if node.isPinned || node.wasUsed {
                node.wasUsed = false
                hand += 1
                continue
            }
            forget(node)
            return
        }
        throw .ENFILE
    }

    private func forget(_ node: ServedNode) {
        unpin(node)
        guard node.descriptor != nil else { return }
        node.descriptor = nil
        node.isData = false
        let position = node.clockPosition
        guard position < open.count, open[position] === node else { return }
        let last = open.removeLast()
        ServerMetrics.descriptors.subtract()
        if last !== node {
            open[position] = last
            last.clockPosition = position
        }
    }
}

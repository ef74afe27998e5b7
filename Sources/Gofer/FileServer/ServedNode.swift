import FileProtocol
import Host
import LinuxABI

/// What makes two looks at a file looks at the same file: device, inode and, where the file system keeps it, the time of birth, since inode
/// numbers are used again.
struct FileIdentity: Hashable {
    var device: UInt64
    var inode: UInt64
    var born: WireTime

    init(_ attributes: NodeAttributes) {
        device = attributes.device
        inode = attributes.inode
        // On an overlay (no device of its own) the first write to a file copies it up: it stays the same file, and its time of birth changes.
        born = DeviceNumber.major(attributes.device) == 0 ? WireTime() : attributes.born
    }
}

/// A file that a client holds: where it was found, and what it was. The descriptor comes and goes; it can be opened again by walking from
/// the parent, one component at a time, and is then checked to be the same file.
final class ServedNode {
    let tree: Int
    /// Nil for a tree's root and for files without a name.
    var parent: ServedNode?
    var name: [UInt8]
    /// A tree's root, whose descriptor is the tree's.
    var isRoot = false
    let identity: FileIdentity
    /// S_IFREG and its kin.
    let type: UInt32
    /// O_PATH, or `isData`: opened for reading, or for reading and writing where the tree allows it.
    var descriptor: SharedDescriptor?
    var isData = false
    /// The name is gone or never was: the descriptor cannot be had again, and stays.
    var isPinned = false
    /// Used since the clock's hand passed last.
    var wasUsed = false
    /// Index among the nodes with a descriptor.
    var clockPosition = 0

    init(tree: Int, parent: ServedNode?, name: [UInt8], attributes: NodeAttributes) {
        self.tree = tree
        self.parent = parent
        self.name = name
        identity = FileIdentity(attributes)
        type = attributes.type
    }

    deinit {
        // A long chain of directories must not be released by recursion.
        var current = parent
        parent = nil
        while isKnownUniquelyReferenced(&current) {
            let next = current?.parent
            current?.parent = nil
            current = next
        }
    }
}

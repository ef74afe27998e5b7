import Diagnostics
import Host
import LinuxABI
import SentryKernel
import SentryMemory
import SentryVFS

/// Shows the first container's files to the host, as the container sees them: a FUSE server over its mount namespace.
///
/// Engines copy files into and out of a running container, and list its processes, by joining the mount namespace of the process that stands for it. That
/// is the Sentry, whose own root is empty; over that root lies this mount, which the Sentry itself cannot reach. Only root of the host may use it. What is
/// read there is the guest's word: no more to be trusted than the files of any container.
struct HostView {
    let device: SharedDescriptor
    let namespace: MountNamespace
    /// Ids are the container's inside and the host's out here.
    let identities: UserNamespace
    let context = KernelFileContext.shared

    /// A file that the host's kernel knows.
    struct Node {
        var place: Path
        /// How often the kernel was told of it; it forgets as often.
        var lookups: UInt64
        var key: Key
    }
    /// What is one file for the kernel. The inode is in it, since a name's dentry outlives what it names.
    struct Key: Hashable {
        var mount: ObjectIdentifier
        var dentry: ObjectIdentifier
        var inode: ObjectIdentifier
    }
    var nodes: [UInt64: Node] = [:]
    var numbers: [Key: UInt64] = [:]
    private var nextNumber: UInt64 = 2
    var files: [UInt64: FileDescription] = [:]
    private var nextHandle: UInt64 = 1

    static let rootNode: UInt64 = 1
    /// The kernel forgets when it needs memory itself; a tree larger than that is not shown whole.
    static let maximumNodes = 1 << 18
    static let maximumFiles = 4096
    /// Bytes of one write.
    static let maximumWrite: UInt32 = 128 << 10

    /// Serves on a thread of its own until the mount is gone. Without the thread, the host's tools get no answer, and nothing else is missed.
    static func start(_ device: SharedDescriptor, _ namespace: MountNamespace, _ identities: UserNamespace) {
        do throws(Errno) {
            try startThread(stackSize: 512 << 10) {
                var view = HostView(device: device, namespace: namespace, identities: identities)
                view.serve()
            }
        } catch {
            Log.warning("the container cannot be seen from the host: \(error.message)")
        }
    }

    private init(device: SharedDescriptor, namespace: MountNamespace, identities: UserNamespace) {
        self.device = device
        self.identities = identities
        self.namespace = namespace
    }

    private mutating func serve() {
        while (try? HostCall.waitReadable([device.rawValue])) != nil {
            // Large, and seldom needed: only while there are questions.
            var buffer = [UInt8](repeating: 0, count: Int(Self.maximumWrite) + 4096)
            while true {
                let count: Int
                do throws(Errno) {
                    var span = buffer.mutableSpan
                    count = try HostCall.read(device.rawValue, into: &span)
                } catch {
                    if error == .EAGAIN { break }
                    // ENOENT: the asker was killed while the question waited.
                    if error == .ENOENT { continue }
                    return
                }
                if let request = FuseRequest(Array(buffer[0..<count])) { handle(request) }
            }
        }
    }

    private mutating func handle(_ request: FuseRequest) {
        var request = request
        switch request.operation {
        case FuseOperation.FUSE_FORGET:
            if let count = try? request.word64() { forget(request.node, count) }
        case FuseOperation.FUSE_BATCH_FORGET:
            guard let count = try? request.word32(), (try? request.word32()) != nil else { return }
            for _ in 0..<count {
                guard let node = try? request.word64(), let lookups = try? request.word64() else { return }
                forget(node, lookups)
            }
        case FuseOperation.FUSE_INTERRUPT: break
        default:
            do throws(Errno) { answer(request.identifier, try reply(to: &request).bytes, error: 0) } catch {
                // Larger numbers are the kernel's own among themselves; FUSE takes none.
                answer(request.identifier, [], error: error.rawValue < 512 ? error.rawValue : Errno.EIO.rawValue)
            }
        }
    }

    private func answer(_ identifier: UInt64, _ body: [UInt8], error: Int32) {
        var message = FuseReply()
        message.add(UInt32(truncatingIfNeeded: FuseConstant.replyHeaderSize + body.count))
        message.add(UInt32(bitPattern: -error))
        message.add(identifier)
        message.bytes += body
        // It fails when the asker has gone meanwhile.
        _ = try? HostCall.write(device.rawValue, message.bytes.span)
    }

    // MARK: Nodes

    /// The place that a node stands for. ESTALE when the kernel asks for one that it has forgotten.
    func place(_ node: UInt64) throws(Errno) -> Path {
        if node == Self.rootNode { return namespace.root }
        guard let entry = nodes[node] else { throw .ESTALE }
        return entry.place
    }

    /// Attributes with the ids that the host knows; what the container does not have is nobody's.
    func shown(_ attributes: FileAttributes) -> FileAttributes {
        var attributes = attributes
        attributes.user = identities.users.host(attributes.user) ?? IdentityMap.overflow
        attributes.group = identities.groups.host(attributes.group) ?? IdentityMap.overflow
        return attributes
    }

    /// The answer to a look-up: the node's number, counted once more, and its attributes.
    mutating func entry(_ place: Path) throws(Errno) -> FuseReply {
        guard let inode = place.dentry.inode else { throw .ENOENT }
        let attributes = shown(try inode.attributes(context))
        let key = Key(mount: ObjectIdentifier(place.mount), dentry: ObjectIdentifier(place.dentry), inode: ObjectIdentifier(inode))
        if let number = numbers[key], nodes[number] != nil {
            nodes[number]?.lookups &+= 1
            return .entry(number, attributes)
        }
        guard nodes.count < Self.maximumNodes else { throw .ENFILE }
        let number = nextNumber
        nextNumber &+= 1
        nodes[number] = Node(place: place, lookups: 1, key: key)
        numbers[key] = number
        return .entry(number, attributes)
    }

    private mutating func forget(_ node: UInt64, _ count: UInt64) {
        guard let entry = nodes[node] else { return }
        if entry.lookups > count {
            nodes[node]?.lookups -= count
        } else {
            nodes[node] = nil
            if numbers[entry.key] == node { numbers[entry.key] = nil }
        }
    }

    // MARK: Open files

    mutating func opened(_ file: FileDescription) throws(Errno) -> UInt64 {
        guard files.count < Self.maximumFiles else { throw .ENFILE }
        file.retainDescriptor()
        let handle = nextHandle
        nextHandle &+= 1
        files[handle] = file
        return handle
    }

    func file(_ handle: UInt64) throws(Errno) -> FileDescription {
        guard let file = files[handle] else { throw .EBADF }
        return file
    }

    mutating func close(_ handle: UInt64) { files.removeValue(forKey: handle)?.releaseDescriptor(context) }
}

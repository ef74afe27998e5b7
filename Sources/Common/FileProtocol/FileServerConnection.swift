public import Host
public import LinuxABI
public import Wire

/// What a server does for each request. A thrown error becomes the reply; `donated` rides with a good one, which then must have it.
public protocol FileService: AnyObject {
    func serve(_ request: AttachRequest) throws(Errno) -> AttachRequest.Reply
    func serve(_ request: WalkRequest) throws(Errno) -> WalkRequest.Reply
    /// `more`: descriptors for the reply's `ahead`.
    func serve(_ request: OpenRequest, donating donated: inout OwnedDescriptor?, _ more: inout [SharedDescriptor]) throws(Errno)
        -> OpenRequest.Reply
    func serve(_ request: CreateRequest, donating donated: inout OwnedDescriptor?) throws(Errno) -> CreateRequest.Reply
    func serve(_ request: CreateUnnamedRequest, donating donated: inout OwnedDescriptor?) throws(Errno) -> CreateUnnamedRequest.Reply
    func serve(_ request: ReadDirectoryRequest) throws(Errno) -> ReadDirectoryRequest.Reply
    func serve(_ request: LinkRequest) throws(Errno) -> LinkRequest.Reply
    func serve(_ request: SymlinkRequest) throws(Errno) -> SymlinkRequest.Reply
    func serve(_ request: ReadLinkRequest) throws(Errno) -> ReadLinkRequest.Reply
    func serve(_ request: MakeDirectoryRequest) throws(Errno) -> MakeDirectoryRequest.Reply
    func serve(_ request: MakeNodeRequest) throws(Errno) -> MakeNodeRequest.Reply
    func serve(_ request: RenameRequest) throws(Errno) -> RenameRequest.Reply
    func serve(_ request: UnlinkRequest) throws(Errno) -> UnlinkRequest.Reply
    func serve(_ request: ReadRequest) throws(Errno) -> ReadRequest.Reply
    func serve(_ request: WriteRequest) throws(Errno) -> WriteRequest.Reply
    func serve(_ request: SyncRequest) throws(Errno) -> SyncRequest.Reply
    func serve(_ request: AllocateRequest) throws(Errno) -> AllocateRequest.Reply
    func serve(_ request: FlushRequest) throws(Errno) -> FlushRequest.Reply
    func serve(_ request: LockRequest) throws(Errno) -> LockRequest.Reply
    func serve(_ request: StatRequest) throws(Errno) -> StatRequest.Reply
    func serve(_ request: SetStatRequest) throws(Errno) -> SetStatRequest.Reply
    func serve(_ request: StatFileSystemRequest) throws(Errno) -> StatFileSystemRequest.Reply
    func serve(_ request: GetExtendedAttributeRequest) throws(Errno) -> GetExtendedAttributeRequest.Reply
    func serve(_ request: SetExtendedAttributeRequest) throws(Errno) -> SetExtendedAttributeRequest.Reply
    func serve(_ request: ListExtendedAttributesRequest) throws(Errno) -> ListExtendedAttributesRequest.Reply
    func serve(_ request: RemoveExtendedAttributeRequest) throws(Errno) -> RemoveExtendedAttributeRequest.Reply
    func serve(_ request: ConnectSocketRequest, donating donated: inout OwnedDescriptor?) throws(Errno) -> ConnectSocketRequest.Reply
    func serve(_ request: BindSocketRequest, donating donated: inout OwnedDescriptor?) throws(Errno) -> BindSocketRequest.Reply
    func serve(_ request: WatchRequest, donating donated: inout OwnedDescriptor?) throws(Errno) -> WatchRequest.Reply
    func serve(_ request: CloseRequest) throws(Errno) -> CloseRequest.Reply
    func serve(_ request: CancelRequest) throws(Errno) -> CancelRequest.Reply
}

/// The Gofer's end of a connection: reads requests in order, answers each of them, and closes the connection at the first broken rule.
public final class FileServerConnection<Service: FileService> {
    @usableFromInline let socket: SharedDescriptor
    @usableFromInline let service: Service
    private var receiver: FrameReceiver
    @usableFromInline var minor: UInt16 = FileProtocolVersion.minor
    /// Requests taken so far.
    public private(set) var served: UInt64 = 0
    /// Called after each answer.
    public var onAnswer: (() -> Void)?

    /// Serves `socket` with `service`, once `run` is called.
    public init(_ socket: consuming OwnedDescriptor, service: Service) {
        self.socket = SharedDescriptor(socket)
        self.service = service
        receiver = FrameReceiver(socket: self.socket.rawValue)
    }

    /// Greets the client and answers until it closes the connection between two frames.
    /// - Throws: why the connection was given up.
    @inlinable public func run() throws(ConnectionError) {
        guard try greet() else { return }
        while let frame = try next() {
            try answer(frame)
            onAnswer?()
        }
    }

    /// False when the client closed the connection before it said anything.
    @usableFromInline func greet() throws(ConnectionError) -> Bool {
        guard let agreement = try Handshake.asServer(socket.rawValue, &receiver) else { return false }
        minor = agreement.minor
        return true
    }

    @usableFromInline func next() throws(ConnectionError) -> Frame? {
        let frame = try receiver.next()
        if frame != nil { served &+= 1 }
        return frame
    }

    // Inlinable, so that the code is made for the service and the messages.
    @inlinable func answer(_ frame: Frame) throws(ConnectionError) {
        guard frame.header.flags == 0 else { throw .protocolViolation("not a request", UInt64(frame.header.flags)) }
        guard frame.descriptors.isEmpty else { throw .protocolViolation("descriptors with a request", UInt64(frame.descriptors.count)) }
        guard let type = MessageType(rawValue: frame.header.type) else {
            // A newer client asks for something that this version does not have.
            return try refuse(frame.header, .ENOSYS)
        }
        switch type {
        case .hello: throw .protocolViolation("a second Hello", 0)
        case .attach: try reply(frame, AttachRequest.self) { (r) throws(Errno) in try service.serve(r) }
        case .walk: try reply(frame, WalkRequest.self) { (r) throws(Errno) in try service.serve(r) }
        case .open: try donate(frame, OpenRequest.self) { (r, d, m) throws(Errno) in try service.serve(r, donating: &d, &m) }
        case .create: try donate(frame, CreateRequest.self) { (r, d, _) throws(Errno) in try service.serve(r, donating: &d) }
        case .createUnnamed: try donate(frame, CreateUnnamedRequest.self) { (r, d, _) throws(Errno) in try service.serve(r, donating: &d) }
        case .readDirectory: try reply(frame, ReadDirectoryRequest.self) { (r) throws(Errno) in try service.serve(r) }
        case .link: try reply(frame, LinkRequest.self) { (r) throws(Errno) in try service.serve(r) }
        case .symlink: try reply(frame, SymlinkRequest.self) { (r) throws(Errno) in try service.serve(r) }
        case .readLink: try reply(frame, ReadLinkRequest.self) { (r) throws(Errno) in try service.serve(r) }
        case .makeDirectory: try reply(frame, MakeDirectoryRequest.self) { (r) throws(Errno) in try service.serve(r) }
        case .makeNode: try reply(frame, MakeNodeRequest.self) { (r) throws(Errno) in try service.serve(r) }
        case .rename: try reply(frame, RenameRequest.self) { (r) throws(Errno) in try service.serve(r) }
        case .unlink: try reply(frame, UnlinkRequest.self) { (r) throws(Errno) in try service.serve(r) }
        case .read: try reply(frame, ReadRequest.self) { (r) throws(Errno) in try service.serve(r) }
        case .write: try reply(frame, WriteRequest.self) { (r) throws(Errno) in try service.serve(r) }
        case .sync: try reply(frame, SyncRequest.self) { (r) throws(Errno) in try service.serve(r) }
        case .allocate: try reply(frame, AllocateRequest.self) { (r) throws(Errno) in try service.serve(r) }
        case .flush: try reply(frame, FlushRequest.self) { (r) throws(Errno) in try service.serve(r) }
        case .lock: try reply(frame, LockRequest.self) { (r) throws(Errno) in try service.serve(r) }
        case .stat: try reply(frame, StatRequest.self) { (r) throws(Errno) in try service.serve(r) }
        case .setStat: try reply(frame, SetStatRequest.self) { (r) throws(Errno) in try service.serve(r) }
        case .statFileSystem: try reply(frame, StatFileSystemRequest.self) { (r) throws(Errno) in try service.serve(r) }
        case .getExtendedAttribute: try reply(frame, GetExtendedAttributeRequest.self) { (r) throws(Errno) in try service.serve(r) }
        case .setExtendedAttribute: try reply(frame, SetExtendedAttributeRequest.self) { (r) throws(Errno) in try service.serve(r) }
        case .listExtendedAttributes: try reply(frame, ListExtendedAttributesRequest.self) { (r) throws(Errno) in try service.serve(r) }
        case .removeExtendedAttribute: try reply(frame, RemoveExtendedAttributeRequest.self) { (r) throws(Errno) in try service.serve(r) }
        case .connectSocket: try donate(frame, ConnectSocketRequest.self) { (r, d, _) throws(Errno) in try service.serve(r, donating: &d) }
        case .bindSocket: try donate(frame, BindSocketRequest.self) { (r, d, _) throws(Errno) in try service.serve(r, donating: &d) }
        case .watch: try donate(frame, WatchRequest.self) { (r, d, _) throws(Errno) in try service.serve(r, donating: &d) }
        case .close: try reply(frame, CloseRequest.self) { (r) throws(Errno) in try service.serve(r) }
        case .cancel: try reply(frame, CancelRequest.self) { (r) throws(Errno) in try service.serve(r) }
        }
    }

    @inlinable func reply<R: FileRequest>(
        _ frame: Frame, _: R.Type, _ body: (R) throws(Errno) -> R.Reply
    ) throws(ConnectionError) {
        try donate(frame, R.self) { (request, _, _) throws(Errno) in try body(request) }
    }

    @inlinable func donate<R: FileRequest>(
        _ frame: Frame, _: R.Type, _ body: (R, inout OwnedDescriptor?, inout [SharedDescriptor]) throws(Errno) -> R.Reply
    ) throws(ConnectionError) {
        let request: R
        do { request = try R(decoding: frame.body) } catch { throw .wire(error) }
        var donated: OwnedDescriptor? = nil
        var more: [SharedDescriptor] = []
        let answer: R.Reply
        do { answer = try body(request, &donated, &more) } catch { return try refuse(frame.header, error) }
        let descriptor = donated?.rawValue
        let descriptors = (descriptor.map { [$0] } ?? []) + more.map { $0.rawValue }
        // A service that forgot the descriptor, or whose answer is out of bounds, is our own error, and the client hears of it.
        guard (descriptor != nil) == R.donates, descriptors.count == R.descriptors(with: answer),
            let bytes = try? FrameSender.encode(
                answer, type: frame.header.type, flags: FrameHeader.replyFlag, tag: frame.header.tag,
                descriptors: descriptors.count,
                minor: minor)
        else { return try refuse(frame.header, .EIO) }
        do { try FrameSender.send(socket.rawValue, bytes, descriptors: descriptors) } catch { throw .host(error) }
        _ = consume donated
    }

    @usableFromInline func refuse(_ header: FrameHeader, _ error: Errno) throws(ConnectionError) {
        let failure = Failure(error: (1...4095).contains(error.rawValue) ? error.rawValue : Errno.EIO.rawValue)
        do {
            let bytes = try FrameSender.encode(
                failure, type: header.type, flags: FrameHeader.replyFlag | FrameHeader.errorFlag, tag: header.tag, minor: minor)
            try FrameSender.send(socket.rawValue, bytes)
        } catch let error as Errno { throw .host(error) } catch let error as WireError { throw .wire(error) } catch { throw .closed }
    }
}

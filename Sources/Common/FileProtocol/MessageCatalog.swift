/// Every structure of the protocol, for documentation, golden vectors and fuzzers.
public enum FileMessageCatalog {
    /// Shows each request type, in the order of the message numbers.
    public static func forEachRequest<E: Error>(_ body: (any FileRequest.Type) throws(E) -> Void) throws(E) {
        for type in requests { try body(type) }
    }

    /// The request types.
    public static let requests: [any FileRequest.Type] = [
        AttachRequest.self,
        WalkRequest.self,
        OpenRequest.self,
        CreateRequest.self,
        CreateUnnamedRequest.self,
        ReadDirectoryRequest.self,
        LinkRequest.self,
        SymlinkRequest.self,
        ReadLinkRequest.self,
        MakeDirectoryRequest.self,
        MakeNodeRequest.self,
        RenameRequest.self,
        UnlinkRequest.self,
        ReadRequest.self,
        WriteRequest.self,
        SyncRequest.self,
        AllocateRequest.self,
        FlushRequest.self,
        LockRequest.self,
        StatRequest.self,
        SetStatRequest.self,
        StatFileSystemRequest.self,
        GetExtendedAttributeRequest.self,
        SetExtendedAttributeRequest.self,
        ListExtendedAttributesRequest.self,
        RemoveExtendedAttributeRequest.self,
        ConnectSocketRequest.self,
        BindSocketRequest.self,
        WatchRequest.self,
        CloseRequest.self,
        CancelRequest.self,
    ]
}

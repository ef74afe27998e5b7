import Control
import FileProtocol
import Foundation
import Wire

/// `docs/wire-protocol.md`: every message of both protocols.
enum WireProtocolDocument {
    static var text: String {
        var document = WireDocument()
        document.add(
            prose: """
                # Wire protocols

                Generated from the message descriptions by `make docs`; do not edit.

                Numbers are little-endian. A list or byte string begins with its count; the width of the count is in the table. A structure with a length may be
                longer than its reader knows: fields are only appended within a major version, and receivers skip what they do not know. Every count, number and
                flag is checked against the bounds in these tables before use; a frame that breaks one closes the connection with a logged reason.

                ## Files: Sentry to Gofer

                Version \(FileProtocolVersion.major).\(FileProtocolVersion.minor), on a Unix stream socket. Each frame has a header of 16 bytes (length u32, type
                u16, flags u16, tag u32, descriptors u8, three reserved bytes of zero) and a body of at most \(FileProtocolVersion.maximumFrame) bytes, with at most
                \(FileProtocolVersion.maximumDescriptors) descriptors. Tags match replies to requests; many may be in flight. The first exchange is Hello: peers of
                different major versions name both and close; otherwise the lower minor version and the common features hold.
                """)
        document.add(Hello.self, title: "Hello (type \(MessageType.hello.rawValue), both ways)")
        for type in FileMessageCatalog.requests { add(type, to: &document) }
        document.add(Failure.self)
        // A document of its own: both protocols have a message named CreateRequest.
        var control = WireDocument()
        control.add(
            prose: """
                ## Control: HTTP/2 on Unix sockets

                Paths and their meaning are in `Sources/Common/Control/README.md`. Reads answer JSON with these fields, or this encoding where the request accepts
                `application/x-nestbox`; commands take this encoding.
                """)
        for type in ControlCatalog.messages { add(type, to: &control) }
        return document.markdown + control.markdown
    }

    private static func add<S: WireStructure>(_: S.Type, to document: inout WireDocument) { document.add(S.self) }

    private static func add<R: FileRequest>(_: R.Type, to document: inout WireDocument) {
        let name = "\(R.self)".replacingOccurrences(of: "Request", with: "")
        document.add(
            R.self, title: "\(name) (type \(R.type.rawValue))", extra: R.donates ? "A good reply brings a descriptor." : "")
        if R.Reply.self != Done.self { document.add(R.Reply.self, level: 4) }
    }
}

import Control
import GoferFileServer

/// nestbox-gofer: the file server of one container. Everything is in GoferFileServer.
@main struct Main {
    static func main() {
        runGofer(GoferOptions.ofThisProcess())
    }
}

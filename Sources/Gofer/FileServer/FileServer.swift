// FileServer

// FileProtocol

// VFS

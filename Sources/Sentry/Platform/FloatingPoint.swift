/// The XSAVE image that a new program starts with: FCW 0x37f, MXCSR 0x1f80, no component in use. Legacy area and header, 576 bytes.
let initialImage: [UInt8] = {
    var image = [UInt8](repeating: 0, count: 576)
    image[0] = 0x7f
    image[1] = 0x03
    image[24] = 0x80
    image[25] = 0x1f
    return image
}()

/// Has `read` fill `image`, which gets `size` bytes, or as many of them as `read` says it has stored; its negative error otherwise.
func fill(_ image: inout [UInt8], _ size: Int, _ read: (UnsafeMutableBufferPointer<UInt8>) -> Int) -> Int {
    if image.count != size { image = [UInt8](repeating: 0, count: size) }
    // SAFETY: `read` stores into the buffer only, and during the call.
    let count = unsafe image.withUnsafeMutableBufferPointer { buffer in unsafe read(buffer) }
    if count >= 0, count < size { image.removeLast(size - count) }
    return count
}

/// The XSAVE image that a new program starts with: FCW 0x37f, MXCSR 0x1f80, no component in use. Legacy area and header, 576 bytes.
func initialImage() -> [UInt8] {
    var image = [UInt8](repeating: 0, count: 576)
    image[0] = 0x7f
    image[1] = 0x03
    image[24] = 0x80
    image[25] = 0x1f
    return image
}

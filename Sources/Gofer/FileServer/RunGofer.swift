public import Control
internal import Diagnostics

/// The Gofer from its options to its end. See Sources/Common/Control/README.md for the contract.
public func runGofer(_ options: GoferOptions) -> Never {
    options.common.configureLog(component: "gofer")
    options.common.fail(.init(.unsupported, "the gofer cannot serve yet"))
}

public import Control
internal import Diagnostics

/// The Sentry from its options to its end. See Sources/Common/Control/README.md for the contract.
public func runSentry(_ options: SentryOptions) -> Never {
    options.common.configureLog(component: "sentry")
    options.common.fail(.init(.unsupported, "the sentry cannot boot yet"))
}

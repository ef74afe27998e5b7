import Control
import SentryBoot

/// nestbox-sentry: the user-space kernel. Everything is in SentryBoot.
@main struct Main {
    static func main() {
        runSentry(SentryOptions.ofThisProcess())
    }
}

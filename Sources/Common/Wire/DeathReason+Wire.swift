public import Diagnostics

extension DeathReason: WireEnumeration {}

// Says which call a system-call filter stopped, before the process dies of it.
#ifndef CHOST_TRAP_H
#define CHOST_TRAP_H

// Installs a SIGSYS handler that writes the call's number, arguments and address to `descriptor` and then lets SIGSYS end the process.
// For filters whose default action is SECCOMP_RET_TRAP. 0, or -errno.
int chost_report_forbidden_calls(int descriptor);

#endif

// The signal handler behind access.S.
#define _GNU_SOURCE
#include "cplatform.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

struct fixup {
    int32_t instruction, target;  // relative to their own addresses
};
extern const struct fixup __start_cplatform_fixups[], __stop_cplatform_fixups[];

static struct sigaction previous[2];

static struct sigaction *previous_of(int signal) { return &previous[signal == SIGBUS]; }

static void handle(int signal, siginfo_t *info, void *context) {
    ucontext_t *machine = context;
    uintptr_t at = (uintptr_t)machine->uc_mcontext.gregs[REG_RIP];
    for (const struct fixup *entry = __start_cplatform_fixups; entry < __stop_cplatform_fixups; entry++) {
        if ((uintptr_t)&entry->instruction + (intptr_t)entry->instruction == at) {
            machine->uc_mcontext.gregs[REG_RIP] = (greg_t)((uintptr_t)&entry->target + (intptr_t)entry->target);
            return;
        }
    }
    // A real crash: the handler that was there before, or the default action when the instruction faults again.
    struct sigaction *old = previous_of(signal);
    if ((old->sa_flags & SA_SIGINFO) && old->sa_sigaction) {
        old->sa_sigaction(signal, info, context);
    } else if (old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN) {
        old->sa_handler(signal);
    } else {
        struct sigaction action;
        memset(&action, 0, sizeof action);
        action.sa_handler = SIG_DFL;
        sigaction(signal, &action, NULL);
    }
}

static void install(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigaction(SIGSEGV, &action, &previous[0]);
    sigaction(SIGBUS, &action, &previous[1]);
}

void cplatform_access_install(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install);
}

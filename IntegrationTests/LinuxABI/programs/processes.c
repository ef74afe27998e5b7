// fork, vfork, clone, exec, exit, wait and what passes through them.
#include "show.h"
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

extern char **environ;
static char *self;

static void waiting(void) {
    int status;
    topic("wait");
    SHOW(wait(&status));
    SHOW(waitpid(-1, &status, WNOHANG));
    SHOW(waitpid(1 << 30, &status, 0));
    pid_t child = fork();
    if (child == 0) _exit(42);
    reap("child", child);
    child = fork();
    if (child == 0) { raise(SIGKILL); _exit(0); }
    reap("child", child);
    child = fork();
    if (child == 0) abort();
    waitpid(child, &status, 0);
    note("aborted by %d", WTERMSIG(status));
    child = fork();
    if (child == 0) { pause(); _exit(0); }
    SHOW(waitpid(child, &status, WNOHANG));
    kill(child, SIGSTOP);
    waitpid(child, &status, WUNTRACED);
    show_status("child", status);
    kill(child, SIGCONT);
    waitpid(child, &status, WCONTINUED);
    show_status("child", status);
    kill(child, SIGTERM);
    reap("child", child);
    siginfo_t info = {0};
    child = fork();
    if (child == 0) _exit(9);
    SHOW(waitid(P_PID, child, &info, WEXITED | WNOWAIT));
    note("waitid code %d status %d child %d signal %d", info.si_code, info.si_status, info.si_pid == child, info.si_signo);
    SHOW(waitid(P_PID, child, &info, WEXITED));
    SHOW(waitid(P_PID, child, &info, WEXITED));
    SHOW(waitid(P_ALL, 0, &info, 0));
    topic("orphans");
    int ends[2];
    pipe(ends);
    SHOW(prctl(PR_SET_CHILD_SUBREAPER, 1));
    child = fork();
    if (child == 0) {
        if (fork() == 0) {
            char byte;
            read(ends[0], &byte, 1);
            _exit(getppid() == 1 ? 1 : 5);
        }
        _exit(0);
    }
    reap("middle", child);
    write(ends[1], "x", 1);
    SHOW(wait(&status) > 0);
    show_status("orphan", status);
    SHOW(prctl(PR_SET_CHILD_SUBREAPER, 0));
    topic("usage");
    struct rusage usage;
    child = fork();
    if (child == 0) {
        for (volatile unsigned i = 0; i < 200000000u; i++) {}
        _exit(0);
    }
    SHOW(wait4(child, &status, 0, &usage) == child);
    note("used time %d", usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec > 1000);
    SHOW(getrusage(RUSAGE_CHILDREN, &usage));
    note("children used time %d", usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec > 1000);
}

static int on_own_stack(void *value) { *(int *)value = 77; return 3; }

static void cloning(void) {
    topic("memory after fork");
    int *shared = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int *own = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *own = 1;
    for (int round = 0; round < 3; round++) {
        pid_t child = fork();
        if (child == 0) {
            *shared += 10;
            *own += 10;
            own[4096] = 5;
            _exit(*own);
        }
        reap("child", child);
        own[8192] = round;
        note("shared %d own %d %d", *shared, *own, own[4096]);
    }
    topic("vfork");
    static volatile int set = 0;
    pid_t child = vfork();
    if (child == 0) { set = 1; _exit(4); }
    reap("vforked", child);
    SHOW(set);
    topic("clone");
    char *stack = malloc(65536);
    int value = 0;
    child = clone(on_own_stack, stack + 65536, CLONE_VM | SIGCHLD, &value);
    reap("cloned", child);
    SHOW(value);
    value = 0;
    child = clone(on_own_stack, stack + 65536, SIGCHLD, &value);
    reap("cloned", child);
    SHOW(value);
    SHOW(clone(on_own_stack, stack + 65536, CLONE_THREAD | SIGCHLD, &value));
    SHOW(clone(on_own_stack, stack + 65536, CLONE_SIGHAND | SIGCHLD, &value));
    child = clone(on_own_stack, stack + 65536, CLONE_VM, &value);
    int status;
    SHOW(waitpid(child, &status, WNOHANG));
    SHOW(waitpid(child, &status, __WCLONE) == child);
    topic("shared tables");
    int descriptor = -1;
    child = syscall(SYS_clone, CLONE_FILES | CLONE_FS | SIGCHLD, 0, 0, 0, 0);
    if (child == 0) {
        dup2(1, 200);
        chdir("/etc");
        umask(0111);
        _exit(0);
    }
    reap("sharer", child);
    SHOW(fcntl(200, F_GETFD));
    char here[64];
    note("%s", getcwd(here, 64));
    SHOW(umask(022));
    (void)descriptor;
    topic("pidfd");
    int pidfd = -1;
    child = syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0, &pidfd, 0, 0);
    if (child == 0) { pause(); _exit(0); }
    note("pidfd %d", pidfd >= 0);
    SHOW(syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, 0, 0));
    siginfo_t info;
    SHOW(waitid(P_PIDFD, pidfd, &info, WEXITED));
    note("killed by %d", info.si_status);
    SHOW(syscall(SYS_pidfd_open, 1 << 30, 0));
    topic("directories of proc as pidfds");
    child = fork();
    if (child == 0) { pause(); _exit(0); }
    char path[64];
    snprintf(path, sizeof path, "/proc/%d", child);
    int directory = open(path, O_RDONLY | O_DIRECTORY);
    SHOW(syscall(SYS_pidfd_send_signal, directory, 0, 0, 0));
    SHOW(syscall(SYS_pidfd_send_signal, directory, 65, 0, 0));
    SHOW(syscall(SYS_pidfd_send_signal, directory, 0, 0, 1 << 10));
    const char *others[] = {"/proc", "/proc/self/fd", "/proc/self/status", "/tmp"};
    for (int i = 0; i < 4; i++) {
        int other = open(others[i], O_RDONLY);
        note("%s", others[i]);
        SHOW(syscall(SYS_pidfd_send_signal, other, 0, 0, 0));
        close(other);
    }
    int named = open(path, O_PATH | O_DIRECTORY);
    SHOW(syscall(SYS_pidfd_send_signal, named, 0, 0, 0));
    SHOW(waitid(P_PIDFD, directory, &info, WEXITED | WNOHANG));
    SHOW(syscall(SYS_pidfd_send_signal, directory, SIGTERM, 0, 0));
    reap("child", child);
    SHOW(syscall(SYS_pidfd_send_signal, directory, 0, 0, 0));
    SHOW(syscall(SYS_pidfd_send_signal, 200, 0, 0, 0));
}

static void executing(void) {
    topic("exec errors");
    char *arguments[] = {"x", 0};
    SHOW(execve("/no/such", arguments, environ));
    SHOW(execve("/etc", arguments, environ));
    SHOW(execve("/etc/passwd", arguments, environ));
    int file = open("text", O_CREAT | O_RDWR, 0755);
    write(file, "not a program\n", 14);
    close(file);
    SHOW(execve("text", arguments, environ));
    file = open("script", O_CREAT | O_RDWR, 0755);
    dprintf(file, "#!%s script argument\n", self);
    close(file);
    file = open("missing", O_CREAT | O_RDWR, 0755);
    dprintf(file, "#!/no/such/interpreter\n");
    close(file);
    SHOW(execve("missing", arguments, environ));
    SHOW(execve((char *)8, arguments, environ));
    SHOW(execve(self, (char **)8, environ));
    char **many = calloc(200, sizeof *many);
    char *large = malloc(200000);
    memset(large, 'a', 199999);
    large[199999] = 0;
    many[0] = large;
    SHOW(execve(self, many, environ));
    topic("exec");
    pid_t child = fork();
    if (child == 0) {
        char *a[] = {"name", "report", "one", "", "three", 0}, *e[] = {"A=1", "B=", 0};
        fcntl(open("/dev/null", O_RDONLY), F_DUPFD, 30);
        fcntl(open("/dev/null", O_RDONLY), F_DUPFD_CLOEXEC, 31);
        signal(SIGUSR1, SIG_IGN);
        signal(SIGUSR2, (void (*)(int))abort);
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGHUP);
        sigprocmask(SIG_BLOCK, &set, 0);
        execve(self, a, e);
        _exit(1);
    }
    reap("execed", child);
    child = fork();
    if (child == 0) {
        char *a[] = {"ignored", "last", 0}, *e[] = {0};
        execve("./script", a, e);
        note("%s", strerrorname_np(errno));
        _exit(1);
    }
    reap("script", child);
    child = fork();
    if (child == 0) {
        int program = open(self, O_RDONLY | O_CLOEXEC);
        char *a[] = {"by descriptor", "report", 0}, *e[] = {0};
        syscall(SYS_execveat, program, "", a, e, AT_EMPTY_PATH);
        note("%s", strerrorname_np(errno));
        _exit(1);
    }
    reap("execveat", child);
    child = fork();
    if (child == 0) {
        char *a[] = {"sh", "-c", "exit $((40 + $#))", "sh", "1", "2", 0};
        execv("/bin/sh", a);
        _exit(1);
    }
    reap("shell", child);
}

// What a program sees of what was passed to it.
static int report(int count, char **arguments) {
    for (int i = 0; i < count; i++) note("argument %d '%s'", i, i == 1 ? "..." : arguments[i]);
    for (char **e = environ; *e; e++) note("environment '%s'", *e);
    note("descriptors %d %d", fcntl(30, F_GETFD), fcntl(31, F_GETFD));
    struct sigaction action;
    sigaction(SIGUSR1, 0, &action);
    note("SIGUSR1 ignored %d", action.sa_handler == SIG_IGN);
    sigaction(SIGUSR2, 0, &action);
    note("SIGUSR2 default %d", action.sa_handler == SIG_DFL);
    sigset_t set;
    sigprocmask(SIG_BLOCK, 0, &set);
    note("SIGHUP blocked %d", sigismember(&set, SIGHUP));
    return 6;
}

int main(int count, char **arguments) {
    if (count > 1 && strcmp(arguments[1], "report") == 0) return report(count, arguments);
    if (count > 2 && strcmp(arguments[1], "script argument") == 0) {
        note("script '%s' '%s' of %d", arguments[2], arguments[3], count);
        return 8;
    }
    syscall(SYS_close_range, 3, ~0U, 0);  // a socket of whoever runs the tests may have any number
    self = realpath("/proc/self/exe", 0);
    if (!self) { note("no /proc/self/exe: %s", strerrorname_np(errno)); return 1; }
    workplace("processes");
    waiting();
    executing();
    cloning();
    return 0;
}

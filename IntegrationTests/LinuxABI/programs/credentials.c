// Users, groups, capabilities, no_new_privs, set-user-ID programs, seccomp filters, chroot.
#include "show.h"
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/sysinfo.h>

static void ids(const char *when) {
    uid_t r, e, s;
    gid_t gr, ge, gs;
    getresuid(&r, &e, &s);
    getresgid(&gr, &ge, &gs);
    note("%s: %d %d %d, %d %d %d, groups %d", when, r, e, s, gr, ge, gs, getgroups(0, 0));
}

static int capable(int capability) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {0};
    syscall(SYS_capget, &header, data);
    return !!(data[capability / 32].effective & (1u << (capability % 32)));
}

static pid_t apart(void) {
    fflush(stdout);
    return fork();
}

static void users(void) {
    pid_t child;
    topic("users and groups");
    if (!(child = apart())) {
        gid_t groups[3] = {10, 20, 30};
        ids("at first");
        SHOW(setgroups(3, groups));
        SHOW(setgroups(-1, groups));
        SHOW(setresgid(1000, 1001, 1002));
        SHOW(setresuid(1000, 1001, 0));
        ids("mixed");
        note("CHOWN %d", capable(CAP_CHOWN));
        SHOW(setresuid(-1, 0, -1));
        ids("back");
        note("CHOWN %d", capable(CAP_CHOWN));
        SHOW(setuid(1000));
        ids("dropped");
        SHOW(setuid(0));
        SHOW(setgid(0));
        SHOW(setresuid(1, 1, 1));
        SHOW(setgroups(0, 0));
        SHOW(seteuid(1000));
        SHOW(kill(getppid(), 0));
        SHOW(chroot("/"));
        SHOW(sethostname("x", 1));
        SHOW(mknod("device", S_IFCHR | 0600, 0x103));
        exit(0);
    }
    reap("users", child);
    if (!(child = apart())) {
        SHOW(prctl(PR_SET_KEEPCAPS, 1));
        SHOW(setuid(1000));
        struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
        struct __user_cap_data_struct data[2] = {0};
        SHOW(syscall(SYS_capget, &header, data));
        note("permitted CHOWN %d effective %d", !!(data[0].permitted & (1 << CAP_CHOWN)), !!(data[0].effective & (1 << CAP_CHOWN)));
        data[0].effective = 1 << CAP_CHOWN;
        data[0].permitted = 1 << CAP_CHOWN;
        data[0].inheritable = data[1].effective = data[1].permitted = data[1].inheritable = 0;
        SHOW(syscall(SYS_capset, &header, data));
        close(open("mine", O_CREAT | O_RDWR, 0600));
        data[0].permitted |= 1 << CAP_KILL;
        SHOW(syscall(SYS_capset, &header, data));
        header.version = 1;
        SHOW(syscall(SYS_capget, &header, 0));
        SHOW(prctl(PR_CAPBSET_READ, CAP_CHOWN));
        SHOW(prctl(PR_CAPBSET_DROP, CAP_CHOWN));
        exit(0);
    }
    reap("capabilities", child);
    topic("file system identity");
    if (!(child = apart())) {
        SHOW(setfsuid(1000));
        SHOW(setfsuid(-1));
        SHOW(open("/etc/shadow", O_RDONLY));
        exit(0);
    }
    reap("fsuid", child);
}

static void programs(void) {
    pid_t child;
    topic("set-user-ID programs");
    char command[300];
    snprintf(command, sizeof command, "cp /proc/%d/exe suid && chown 1000:1001 suid && chmod 6755 suid", (int)getpid());
    SHOW(system(command));
    if (!(child = apart())) {
        SHOW(setresuid(1002, 1002, 1002));
        execl("./suid", "suid", "report", (char *)0);
        note("%s", strerrorname_np(errno));
        exit(1);
    }
    reap("plain", child);
    if (!(child = apart())) {
        SHOW(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
        SHOW(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
        SHOW(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
        SHOW(setresuid(1002, 1002, 1002));
        execl("./suid", "suid", "report", (char *)0);
        exit(1);
    }
    reap("no new privileges", child);
    topic("chroot");
    if (!(child = apart())) {
        mkdir("root", 0755);
        close(open("root/inside", O_CREAT | O_RDWR, 0600));
        SHOW(chroot("none"));
        SHOW(chroot("root"));
        SHOW(chdir("/"));
        SHOW(access("/inside", F_OK));
        SHOW(access("/../../inside", F_OK));
        SHOW(access("/etc/passwd", F_OK));
        exit(0);
    }
    reap("chroot", child);
}

static void filters(void) {
    pid_t child;
    topic("seccomp");
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpgrp, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    if (!(child = apart())) {
        SHOW(setuid(1000));
        SHOW(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
        SHOW(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
        SHOW(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
        SHOW(syscall(SYS_getppid));
        SHOW(prctl(PR_GET_SECCOMP));
        pid_t inner = fork();
        if (!inner) { SHOW(syscall(SYS_getppid)); syscall(SYS_getpgrp); _exit(0); }
        reap("inner", inner);
        exit(0);
    }
    reap("filtered", child);
    if (!(child = apart())) {
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
        write(1, "strict\n", 7);
        syscall(SYS_getpid);
        _exit(0);
    }
    reap("strict", child);
    program.len = 0;
    SHOW(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
    SHOW(syscall(SYS_seccomp, 99, 0, 0));
}

static void names(void) {
    topic("names");
    struct utsname name;
    SHOW(uname(&name));
    note("%s %s", name.sysname, name.machine);
    SHOW(uname((void *)8));
    struct sysinfo info;
    SHOW(sysinfo(&info));
    note("memory %d", info.totalram > 0);
    SHOW(prctl(PR_SET_DUMPABLE, 0));
    SHOW(prctl(PR_GET_DUMPABLE));
    SHOW(prctl(PR_SET_DUMPABLE, 1));
    SHOW(prctl(PR_SET_PDEATHSIG, SIGTERM));
    int signal = 0;
    SHOW(prctl(PR_GET_PDEATHSIG, &signal));
    SHOW(signal);
    SHOW(prctl(9999));
    SHOW(syscall(9999));
    SHOW(syscall(-1));
    char random[16];
    SHOW(syscall(SYS_getrandom, random, 16, 0));
    SHOW(syscall(SYS_getrandom, random, 16, 99));
    SHOW(syscall(SYS_getrandom, 8, 16, 0));
    unsigned cpu = -1, node = -1;
    SHOW(syscall(SYS_getcpu, &cpu, &node, 0));
    SHOW(syscall(SYS_membarrier, 0, 0, 0) >= 0);
}

int main(int count, char **arguments) {
    if (count > 1) { ids("in the program"); return 4; }
    workplace("credentials");
    users();
    programs();
    filters();
    names();
    return 0;
}

// /proc and /dev as programs use them: a process about itself and others, the system's files, descriptors by name.
#include "show.h"
#include <dirent.h>
#include <pthread.h>
#include <sys/mman.h>

// `path` without the process numbers in it.
static const char *plain(const char *path) {
    static char result[2][300];
    static int next;
    char *out = result[next = !next], *end = out + 299;
    for (const char *in = path; *in && out < end; in++) {
        if (*in < '0' || *in > '9' || !strncmp(path, "/proc/self", 10)) { *out++ = *in; continue; }
        if (in == path || in[-1] < '0' || in[-1] > '9') *out++ = 'N';
    }
    *out = 0;
    return result[next];
}

// The first line of a file that begins with `prefix`, or all of it where there is no prefix; with `hide` only that it is there.
static void line(const char *path, const char *prefix, int hide) {
    FILE *file = fopen(path, "r");
    if (!file) { note("%s: %s", plain(path), strerrorname_np(errno)); return; }
    char buffer[4096];
    int found = 0;
    while (fgets(buffer, sizeof buffer, file)) {
        if (prefix && strncmp(buffer, prefix, strlen(prefix)) != 0) continue;
        buffer[strcspn(buffer, "\n")] = 0;
        note("%s: %s", plain(path), hide ? (prefix ? prefix : "there") : buffer);
        found = 1;
        break;
    }
    if (!found) note("%s: no %s", plain(path), prefix ? prefix : "line");
    fclose(file);
}

static void target(const char *path) {
    char buffer[300];
    long size = readlink(path, buffer, 299);
    if (size < 0) { note("%s: %s", plain(path), strerrorname_np(errno)); return; }
    buffer[size] = 0;
    char *end = strrchr(buffer, '/');
    note("%s -> %s", plain(path), end && strncmp(buffer, "/tmp/", 5) == 0 ? plain(end) : buffer);
}

static void *waiting(void *unused) { pause(); return 0; }

int main(int count, char **arguments) {
    char path[100], buffer[5000];
    workplace("proc");
    topic("about itself");
    line("/proc/self/status", "Name:", 0);
    line("/proc/self/status", "State:", 0);
    line("/proc/self/status", "Uid:", 0);
    line("/proc/self/status", "Gid:", 0);
    line("/proc/self/status", "Threads:", 0);
    line("/proc/self/status", "VmRSS:", 1);
    line("/proc/self/status", "SigBlk:", 0);
    line("/proc/self/status", "NoNewPrivs:", 0);
    line("/proc/self/status", "Seccomp:", 0);
    line("/proc/self/status", "Cpus_allowed_list:", 1);
    line("/proc/self/comm", 0, 0);
    line("/proc/self/limits", "Max open files", 1);
    line("/proc/self/oom_score_adj", 0, 1);
    line("/proc/self/cgroup", 0, 1);
    line("/proc/self/mountinfo", 0, 1);
    line("/proc/self/mounts", "proc /proc", 1);
    line("/proc/self/smaps", "Size:", 1);
    FILE *file = fopen("/proc/self/cmdline", "r");
    long size = file ? (long)fread(buffer, 1, sizeof buffer, file) : -1;
    note("cmdline arguments %d", size > 0 && buffer[size - 1] == 0);
    if (file) fclose(file);
    int process = -1, parent = -1, group = -1, session = -1;
    char state = 0;
    file = fopen("/proc/self/stat", "r");
    if (file && fscanf(file, "%d (%*[^)]) %c %d %d %d", &process, &state, &parent, &group, &session) == 5)
        note("stat agrees %d %c %d %d %d", process == getpid(), state, parent == getppid(), group == getpgrp(), session == getsid(0));
    if (file) fclose(file);
    note("threads' own link %d", access("/proc/thread-self/status", R_OK));
    topic("maps");
    char *mapped = mmap(0, 3 * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int own = open("mapped file", O_CREAT | O_RDWR, 0600);
    ftruncate(own, 8192);
    char *from_file = mmap(0, 8192, PROT_READ, MAP_SHARED, own, 4096);
    file = fopen("/proc/self/maps", "r");
    int stack = 0, heap = 0, vdso = 0, mine = 0, named = 0;
    while (file && fgets(buffer, sizeof buffer, file)) {
        unsigned long start, end, offset;
        char flags[5];
        if (sscanf(buffer, "%lx-%lx %4s %lx", &start, &end, flags, &offset) != 4) { note("strange line %s", buffer); continue; }
        stack |= strstr(buffer, "[stack]") && !strncmp(flags, "rw-p", 4);
        heap |= !!strstr(buffer, "[heap]");
        vdso |= !!strstr(buffer, "[vdso]");
        mine |= start <= (unsigned long)mapped && (unsigned long)mapped + 3 * 4096 <= end && !strncmp(flags, "r--p", 4);
        named |= start == (unsigned long)from_file && offset == 4096 && strstr(buffer, "mapped file") && !strncmp(flags, "r--s", 4);
    }
    if (file) fclose(file);
    note("stack %d heap %d vdso %d anonymous %d file %d", stack, heap, vdso, mine, named);
    topic("links");
    target("/proc/self/cwd");
    target("/proc/self/root");
    snprintf(path, sizeof path, "/proc/self/fd/%d", own);
    target(path);
    unlink("mapped file");
    target(path);
    int ends[2];
    pipe(ends);
    snprintf(path, sizeof path, "/proc/self/fd/%d", ends[0]);
    size = readlink(path, buffer, 299);
    note("%.6s", buffer);
    snprintf(path, sizeof path, "/proc/self/fd/%d", own);
    int again = open(path, O_RDWR);
    note("reopened %d", again >= 0);
    pwrite(again, "seen", 4, 0);
    SHOW(pread(own, buffer, 4, 0));
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", own);
    line(path, "pos:", 0);
    SHOW(open("/proc/self/fd/999", O_RDONLY));
    SHOW(access("/dev/fd/0", F_OK));
    SHOW(open("/dev/stdout", O_WRONLY) >= 0);
    topic("others");
    pid_t child = fork();
    if (!child) { execl("/bin/sleep", "a name", "100", (char *)0); _exit(1); }
    snprintf(path, sizeof path, "/proc/%d/comm", child);
    for (int i = 0; i < 500; i++) { file = fopen(path, "r"); if (file && fgets(buffer, 20, file) && !strncmp(buffer, "sleep", 5)) break; rest(2); if (file) fclose(file); }
    note("comm %.5s", buffer);
    snprintf(path, sizeof path, "/proc/%d/cmdline", child);
    file = fopen(path, "r");
    size = file ? (long)fread(buffer, 1, sizeof buffer, file) : -1;
    note("cmdline %ld '%s' '%s'", size, buffer, buffer + 7);
    snprintf(path, sizeof path, "/proc/%d/stat", child);
    rest(50);
    file = fopen(path, "r");
    if (file && fscanf(file, "%*d (%*[^)]) %c %d", &state, &parent) == 2) note("%c %d", state, parent == getpid());
    snprintf(path, sizeof path, "/proc/%d/exe", child);
    target(path);
    kill(child, SIGKILL);
    siginfo_t info;
    waitid(P_PID, child, &info, WEXITED | WNOWAIT);
    snprintf(path, sizeof path, "/proc/%d/status", child);
    line(path, "State:", 0);
    reap("sleeper", child);
    line(path, "State:", 0);
    SHOW(open("/proc/999999/status", O_RDONLY));
    pthread_t thread;
    pthread_create(&thread, 0, waiting, 0);
    DIR *tasks = opendir("/proc/self/task");
    int number = 0;
    struct dirent *entry;
    while (tasks && (entry = readdir(tasks))) number += entry->d_name[0] != '.';
    note("tasks %d", number);
    DIR *all = opendir("/proc");
    number = 0;
    int self = 0;
    while (all && (entry = readdir(all))) { if (atoi(entry->d_name) == getpid()) number++; self |= !strcmp(entry->d_name, "self"); }
    note("listed %d self %d", number, self);
    topic("the system");
    line("/proc/meminfo", "MemTotal:", 1);
    line("/proc/meminfo", "MemAvailable:", 1);
    line("/proc/cpuinfo", "processor", 1);
    line("/proc/stat", "cpu ", 1);
    line("/proc/uptime", 0, 1);
    line("/proc/loadavg", 0, 1);
    line("/proc/version", "Linux version", 1);
    line("/proc/filesystems", "nodev\tproc", 0);
    line("/proc/sys/kernel/ostype", 0, 0);
    line("/proc/sys/kernel/pid_max", 0, 1);
    line("/proc/sys/kernel/hostname", 0, 1);
    line("/proc/sys/kernel/random/boot_id", 0, 1);
    line("/proc/sys/vm/overcommit_memory", 0, 1);
    line("/proc/sys/fs/file-max", 0, 1);
    line("/proc/none", 0, 0);
    SHOW(open("/proc/self/mem", O_RDONLY) >= 0);
    SHOW(open("/proc/meminfo", O_WRONLY | O_APPEND) >= 0);
    SHOW(write(open("/proc/meminfo", O_WRONLY), "x", 1));
    SHOW(open("/proc/sys/kernel/ostype", O_WRONLY));
    SHOW(access("/proc/sys/kernel/ostype", W_OK));
    SHOW(mkdir("/proc/x", 0755));
    SHOW(mkdir("/proc/self/x", 0755));
    SHOW(mkdir("/proc/self/status", 0755));
    SHOW(mkdir("/proc/sys/kernel/x", 0755));
    SHOW(mkdir("/proc/self/fd/999", 0755));
    SHOW(open("/proc/self/x", O_CREAT | O_RDWR, 0644));
    SHOW(symlink("there", "/proc/x"));
    SHOW(rename("/proc/self/status", "/proc/self/x"));
    SHOW(unlink("/proc/self/status"));
    return 0;
}

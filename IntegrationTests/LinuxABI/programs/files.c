// Regular files, directories, links, modes, times, locks: open(2) and everything that takes a path or a descriptor.
#include "show.h"
#include <dirent.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <sys/xattr.h>

static void attributes(const char *path) {
    struct stat s;
    if (lstat(path, &s) == -1) { note("%s: %s", path, strerrorname_np(errno)); return; }
    note("%s: mode %o links %ld size %ld owner %d:%d", path, s.st_mode, (long)s.st_nlink, S_ISDIR(s.st_mode) ? 0 : (long)s.st_size, s.st_uid, s.st_gid);
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void list(const char *path) {
    DIR *directory = opendir(path);
    if (!directory) { note("%s: %s", path, strerrorname_np(errno)); return; }
    char *names[512];
    int count = 0;
    struct dirent *entry;
    while (count < 512 && (entry = readdir(directory))) {
        char line[300];
        snprintf(line, sizeof line, "%s(%d)", entry->d_name, entry->d_type);
        names[count++] = strdup(line);
    }
    closedir(directory);
    qsort(names, count, sizeof *names, by_name);
    printf("%s:", path);
    for (int i = 0; i < count; i++) printf(" %s", names[i]);
    printf("\n");
}

static void reading_and_writing(void) {
    char buffer[64] = {0};
    topic("open");
    SHOW(open("a", O_RDONLY));
    int file = open("a", O_RDWR | O_CREAT | O_EXCL, 0666);
    note("created %d", file >= 0);
    SHOW(open("a", O_RDWR | O_CREAT | O_EXCL, 0666));
    attributes("a");
    SHOW(open(".", O_WRONLY));
    SHOW(open("a/b", O_RDONLY));
    SHOW(open("a", O_RDONLY | O_DIRECTORY));
    SHOW(open("", O_RDONLY));
    SHOW(open((char *)1, O_RDONLY));
    char name[5000];
    memset(name, 'n', sizeof name);
    name[256] = 0;
    SHOW(open(name, O_RDONLY | O_CREAT, 0600));
    name[256] = 'n'; name[4999] = 0;
    SHOW(open(name, O_RDONLY));
    topic("read and write");
    SHOW(write(file, "hello world", 11));
    SHOW(lseek(file, 0, SEEK_SET));
    SHOW(read(file, buffer, 5));
    SHOW(strcmp(buffer, "hello"));
    SHOW(pread(file, buffer, 64, 6));
    SHOW(pwrite(file, "W", 1, 6));
    SHOW(lseek(file, 0, SEEK_CUR));
    SHOW(lseek(file, -3, SEEK_END));
    SHOW(lseek(file, -30, SEEK_END));
    SHOW(lseek(file, 100, SEEK_SET));
    SHOW(read(file, buffer, 5));
    SHOW(write(file, "far", 3));
    attributes("a");
    SHOW(lseek(file, 0, 99));
    SHOW(read(file, (void *)8, 5));
    SHOW(write(file, (void *)8, 5));
    SHOW(pread(file, (void *)8, 5, 0));
    SHOW(pread(file, buffer, 5, -1));
    SHOW(read(999, buffer, 5));
    struct iovec vector[2] = {{"one", 3}, {"two", 3}};
    SHOW(pwritev(file, vector, 2, 0));
    vector[0].iov_base = buffer; vector[0].iov_len = 2;
    vector[1].iov_base = buffer + 10; vector[1].iov_len = 4;
    SHOW(preadv(file, vector, 2, 0));
    SHOW(memcmp(buffer + 10, "etwo", 4));
    SHOW(readv(file, vector, -1));
    SHOW(readv(file, vector, 2000));
    SHOW(readv(file, (void *)8, 1));
    int reader = open("a", O_RDONLY);
    SHOW(write(reader, "x", 1));
    int writer = open("a", O_WRONLY);
    SHOW(read(writer, buffer, 1));
    SHOW(ftruncate(file, 4));
    SHOW(truncate("a", 6));
    SHOW(truncate("a", -1));
    SHOW(ftruncate(reader, 1));
    attributes("a");
    SHOW(pread(file, buffer, 10, 0));
    SHOW(memcmp(buffer, "onet\0\0", 6));
    int append = open("a", O_WRONLY | O_APPEND);
    SHOW(write(append, "end", 3));
    SHOW(lseek(append, 0, SEEK_CUR));
    SHOW(fcntl(append, F_GETFL) & (O_ACCMODE | O_APPEND));
    SHOW(fcntl(append, F_SETFL, 0));
    SHOW(lseek(append, 0, SEEK_SET));
    SHOW(write(append, "E", 1));
    SHOW(pread(file, buffer, 1, 0));
    SHOW(buffer[0]);
    topic("descriptors");
    SHOW(dup2(file, 50));
    SHOW(fcntl(50, F_GETFD));
    SHOW(dup3(file, 51, O_CLOEXEC));
    SHOW(fcntl(51, F_GETFD));
    SHOW(dup3(file, file, 0));
    SHOW(dup2(file, -1));
    SHOW(dup2(998, 50));
    SHOW(fcntl(file, F_DUPFD, 60));
    SHOW(fcntl(file, F_DUPFD_CLOEXEC, 60));
    SHOW(close(50));
    SHOW(close(50));
    SHOW(syscall(SYS_close_range, 51, 70, 0));
    SHOW(fcntl(60, F_GETFD));
    SHOW(fsync(file));
    SHOW(fdatasync(file));
    topic("space");
    SHOW(fallocate(file, 0, 0, 8192));
    attributes("a");
    SHOW(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
    SHOW(pread(file, buffer, 4, 0));
    SHOW(memcmp(buffer, "\0\0\0\0", 4));
    SHOW(posix_fadvise(file, 0, 0, POSIX_FADV_SEQUENTIAL));
    int copy = open("copy", O_RDWR | O_CREAT, 0644);
    SHOW(pwrite(file, "copied", 6, 0));
    off_t from = 0;
    SHOW(sendfile(copy, file, &from, 6));
    SHOW(from);
    loff_t in = 0, out = 6;
    SHOW(copy_file_range(file, &in, copy, &out, 6, 0));
    SHOW(pread(copy, buffer, 12, 0));
    SHOW(memcmp(buffer, "copiedcopied", 12));
    close(copy); close(reader); close(writer); close(append); close(file);
}

static void names(void) {
    topic("links");
    SHOW(link("a", "b"));
    SHOW(link("a", "b"));
    SHOW(link("none", "c"));
    attributes("b");
    SHOW(symlink("a", "s"));
    SHOW(symlink("loop", "loop"));
    SHOW(symlink("nowhere", "dangling"));
    SHOW(symlink("", "empty"));
    SHOW(symlink("x", "s"));
    attributes("s");
    SHOW(open("s", O_RDONLY | O_NOFOLLOW));
    SHOW(open("loop", O_RDONLY));
    SHOW(open("dangling", O_RDONLY));
    SHOW(open("dangling", O_RDWR | O_CREAT | O_EXCL, 0600));
    OK(open("dangling", O_RDWR | O_CREAT, 0600));
    attributes("nowhere");
    char target[32] = {0};
    SHOW(readlink("s", target, 32));
    note("target %s", target);
    SHOW(readlink("a", target, 32));
    SHOW(readlink("s", target, 0));
    SHOW(linkat(AT_FDCWD, "s", AT_FDCWD, "hard", 0));
    attributes("hard");
    SHOW(linkat(AT_FDCWD, "s", AT_FDCWD, "followed", AT_SYMLINK_FOLLOW));
    attributes("followed");
    topic("directories");
    SHOW(mkdir("d", 0777));
    SHOW(mkdir("d", 0777));
    SHOW(mkdir("none/d", 0777));
    SHOW(mkdir("d/sub", 0700));
    SHOW(rmdir("d"));
    SHOW(rmdir("a"));
    SHOW(rmdir("d/."));
    SHOW(rmdir("none"));
    SHOW(unlink("d"));
    SHOW(link("d", "dd"));
    topic("which error comes first");
    SHOW(link("d", "a"));
    SHOW(link("d", "none/x"));
    SHOW(link("d", "a/x"));
    SHOW(link("d", "dd/"));
    SHOW(link("a", "dd/"));
    SHOW(link("a", "."));
    SHOW(link("a", "d/.."));
    SHOW(link("none", "a"));
    SHOW(link("d", "/proc/self/x"));
    SHOW(open(".", O_CREAT | O_EXCL | O_RDWR, 0600));
    SHOW(open("d/..", O_CREAT | O_EXCL | O_RDONLY, 0600));
    SHOW(open("/", O_CREAT | O_EXCL | O_RDONLY, 0600));
    SHOW(open(".", O_CREAT | O_RDWR, 0600));
    SHOW(open("d/", O_CREAT | O_EXCL | O_RDWR, 0600));
    SHOW(open("none/", O_CREAT | O_EXCL | O_RDWR, 0600));
    SHOW(open("d", O_CREAT | O_EXCL | O_RDWR, 0600));
    SHOW(open("d", O_CREAT | O_RDONLY, 0600));
    SHOW(open("none/x", O_CREAT | O_EXCL | O_RDWR, 0600));
    SHOW(open("a/x", O_CREAT | O_EXCL | O_RDWR, 0600));
    SHOW(open("a", O_CREAT | O_EXCL | O_DIRECTORY, 0600));
    struct stat unused;
    SHOW(fstatat(AT_FDCWD, "a", &unused, AT_STATX_DONT_SYNC));
    SHOW(fstatat(AT_FDCWD, "a", &unused, AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC));
    SHOW(fstatat(AT_FDCWD, "a", &unused, AT_REMOVEDIR));
    topic("a directory that a rename replaces");
    SHOW(mkdir("old", 0755));
    SHOW(mkdir("new", 0755));
    int replaced = open("new", O_RDONLY | O_DIRECTORY);
    SHOW(rename("old", "new"));
    SHOW(mkdirat(replaced, "x", 0755));
    SHOW(openat(replaced, "x", O_CREAT | O_RDWR, 0600));
    SHOW(fstat(replaced, &unused));
    note("links %ld", (long)unused.st_nlink);
    SHOW(rmdir("new"));
    attributes("d");
    list(".");
    list("d");
    SHOW(chdir("d/sub"));
    char here[256];
    note("%s", getcwd(here, sizeof here) ? strrchr(here, '/') : "no");
    SHOW(syscall(SYS_getcwd, here, 3));
    SHOW(chdir("../../a"));
    SHOW(chdir("../.."));
    int directory = open("d", O_RDONLY | O_DIRECTORY);
    OK(openat(directory, "inner", O_CREAT | O_RDWR, 0640));
    SHOW(openat(directory, "none", O_RDONLY));
    SHOW(mkdirat(directory, "more", 0755));
    SHOW(faccessat(directory, "inner", R_OK, 0));
    SHOW(read(directory, here, 1));
    SHOW(unlinkat(directory, "more", 0));
    SHOW(unlinkat(directory, "more", AT_REMOVEDIR));
    SHOW(fchdir(directory));
    SHOW(access("inner", F_OK));
    SHOW(chdir(".."));
    topic("rename");
    SHOW(rename("a", "renamed"));
    SHOW(rename("none", "x"));
    SHOW(rename("renamed", "d"));
    SHOW(rename("d", "d/sub/below"));
    SHOW(rename("d/sub", "moved"));
    SHOW(rename("moved", "d"));
    SHOW(rename("b", "renamed"));
    attributes("b");
    SHOW(syscall(SYS_renameat2, AT_FDCWD, "renamed", AT_FDCWD, "nowhere", 1));
    SHOW(syscall(SYS_renameat2, AT_FDCWD, "renamed", AT_FDCWD, "moved", 2));
    attributes("moved");
    attributes("renamed");
    SHOW(syscall(SYS_renameat2, AT_FDCWD, "renamed", AT_FDCWD, "moved", 64));
    list(".");
    topic("unlinked but open");
    int file = open("gone", O_RDWR | O_CREAT, 0600);
    SHOW(unlink("gone"));
    SHOW(write(file, "still", 5));
    struct stat s;
    SHOW(fstat(file, &s));
    SHOW(s.st_nlink);
    SHOW(s.st_size);
    close(file);
    topic("paths");
    SHOW(openat(directory, "/etc/passwd/", O_RDONLY));
    SHOW(access("d/", F_OK));
    SHOW(access("nowhere/", F_OK));
    SHOW(access("./d//.././d/inner", F_OK));
    SHOW(access("/../../../etc/passwd", R_OK));
    OK(open("d", O_PATH));
    int path = open("nowhere", O_PATH);
    SHOW(read(path, here, 1));
    SHOW(fchmod(path, 0600));
    SHOW(fstat(path, &s));
    close(path);
}

// Whether reading a file with these times, in seconds, moves its access time. Its change time is now.
static void accessed(long access, long modification, int flags) {
    struct timespec times[2] = {{access, 0}, {modification, 0}};
    char byte;
    struct stat s;
    SHOW(utimensat(AT_FDCWD, "private", times, 0));
    int file = open("private", O_RDONLY | flags);
    note("at the end %ld", (long)pread(file, &byte, 1, 1 << 20));
    fstat(file, &s);
    note("access time moved %d", s.st_atim.tv_sec != access);
    note("read %ld", (long)read(file, &byte, 1));
    fstat(file, &s);
    note("access time moved %d, the other %d", s.st_atim.tv_sec != access, s.st_mtim.tv_sec != modification);
    close(file);
}

static void metadata(void) {
    struct stat s;
    topic("modes");
    SHOW(chmod("nowhere", 04755));
    attributes("nowhere");
    SHOW(chown("nowhere", 1000, 1001));
    attributes("nowhere");
    SHOW(chown("nowhere", -1, 5));
    attributes("nowhere");
    SHOW(lchown("s", 7, 8));
    attributes("s");
    SHOW(fchmodat(AT_FDCWD, "none", 0600, 0));
    SHOW(umask(077));
    OK(open("private", O_CREAT | O_RDWR, 0666));
    attributes("private");
    SHOW(umask(022));
    topic("times");
    struct timespec times[2] = {{1000000, 500}, {2000000, 700}};
    SHOW(utimensat(AT_FDCWD, "private", times, 0));
    stat("private", &s);
    note("%ld.%ld %ld.%ld", s.st_atim.tv_sec, s.st_atim.tv_nsec, s.st_mtim.tv_sec, s.st_mtim.tv_nsec);
    times[0].tv_nsec = UTIME_OMIT; times[1].tv_sec = 3; times[1].tv_nsec = 4;
    SHOW(utimensat(AT_FDCWD, "private", times, 0));
    stat("private", &s);
    note("%ld.%ld %ld.%ld", s.st_atim.tv_sec, s.st_atim.tv_nsec, s.st_mtim.tv_sec, s.st_mtim.tv_nsec);
    times[1].tv_nsec = 1000000000;
    SHOW(utimensat(AT_FDCWD, "private", times, 0));
    struct statx x;
    SHOW(statx(AT_FDCWD, "private", 0, STATX_BASIC_STATS, &x));
    note("statx mode %o size %lld mtime %lld has %d", x.stx_mode, (long long)x.stx_size, (long long)x.stx_mtime.tv_sec,
         (x.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS);
    SHOW(statx(AT_FDCWD, "", AT_EMPTY_PATH, STATX_MODE, &x));
    SHOW(statx(AT_FDCWD, "", 0, STATX_MODE, &x));
    topic("access times");
    accessed(2000000000, 100, 0);
    accessed(100, 50, 0);
    accessed(100, 50, O_NOATIME);
    accessed(1, 100, 0);
    struct statfs fs;
    SHOW(statfs(".", &fs));
    note("tmpfs %d names up to %ld", fs.f_type == 0x01021994, (long)fs.f_namelen);
    topic("extended attributes");
    char value[32];
    SHOW(getxattr("private", "user.none", value, 32));
    SHOW(setxattr("private", "trusted.key", "value", 5, 0));
    SHOW(getxattr("private", "trusted.key", value, 32));
    SHOW(getxattr("private", "trusted.key", value, 2));
    SHOW(setxattr("private", "trusted.key", "v", 1, XATTR_CREATE));
    SHOW(removexattr("private", "trusted.key"));
    SHOW(setxattr("private", "nonsense", "v", 1, 0));
    topic("special files");
    SHOW(mkfifo("fifo", 0644));
    attributes("fifo");
    SHOW(open("fifo", O_WRONLY | O_NONBLOCK));
    OK(open("fifo", O_RDONLY | O_NONBLOCK));
    SHOW(mknod("regular", S_IFREG | 0600, 0));
    attributes("regular");
    topic("device files");
    char buffer[16];
    int null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDWR), full = open("/dev/full", O_RDWR);
    SHOW(write(null, "x", 1));
    SHOW(read(null, buffer, 16));
    memset(buffer, 1, 16);
    SHOW(read(zero, buffer, 16));
    SHOW(buffer[15]);
    SHOW(write(full, "x", 1));
    SHOW(open("/dev/none", O_RDWR));
    stat("/dev/null", &s);
    note("null %x mode %o", (unsigned)s.st_rdev, s.st_mode);
    int random = open("/dev/urandom", O_RDONLY);
    SHOW(read(random, buffer, 16));
}

static void locks(void) {
    topic("locks");
    int file = open("locked", O_RDWR | O_CREAT, 0600), other = open("locked", O_RDWR);
    SHOW(flock(file, LOCK_EX));
    SHOW(flock(other, LOCK_EX | LOCK_NB));
    SHOW(flock(file, LOCK_UN));
    SHOW(flock(other, LOCK_SH | LOCK_NB));
    SHOW(flock(file, LOCK_SH | LOCK_NB));
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 10};
    SHOW(fcntl(file, F_SETLK, &lock));
    pid_t child = fork();
    if (child == 0) {
        struct flock mine = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 15, .l_len = 1};
        SHOW(fcntl(file, F_SETLK, &mine));
        SHOW(fcntl(file, F_GETLK, &mine));
        note("held by the parent %d from %ld for %ld", mine.l_pid == getppid(), (long)mine.l_start, (long)mine.l_len);
        mine = (struct flock){.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 30, .l_len = 0};
        SHOW(fcntl(file, F_SETLK, &mine));
        exit(0);
    }
    reap("locker", child);
    lock.l_type = F_UNLCK;
    SHOW(fcntl(file, F_SETLK, &lock));
    struct flock owned = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 5};
    SHOW(fcntl(file, F_OFD_SETLK, &owned));
    SHOW(fcntl(other, F_OFD_SETLK, &owned));
    close(file);
    SHOW(fcntl(other, F_OFD_SETLK, &owned));
}

static void unprivileged(void) {
    topic("without privileges");
    SHOW(chmod("private", 0600));
    SHOW(mkdir("sticky", 01777));
    SHOW(chmod("sticky", 01777));
    OK(open("sticky/mine", O_CREAT | O_RDWR, 0666));
    SHOW(chmod("d", 0700));
    pid_t child = fork();
    if (child == 0) {
        SHOW(setgid(1000));
        SHOW(setuid(1000));
        SHOW(open("private", O_RDONLY));
        SHOW(access("private", R_OK));
        SHOW(access("private", F_OK));
        SHOW(open("new", O_CREAT | O_RDWR, 0600));
        SHOW(access("d/inner", F_OK));
        SHOW(unlink("sticky/mine"));
        SHOW(chmod("private", 0666));
        SHOW(chown("nowhere", 0, 0));
        OK(open("sticky/theirs", O_CREAT | O_RDWR, 0666));
        attributes("sticky/theirs");
        SHOW(chmod("sticky/theirs", 02755));
        attributes("sticky/theirs");
        exit(0);
    }
    reap("unprivileged", child);
}

int main(void) {
    workplace("files");
    reading_and_writing();
    names();
    metadata();
    locks();
    unprivileged();
    return 0;
}

/* How fast can a container start at all?
 *
 *   floor IMAGE ROOM GROUPS COMMAND [ARG...]
 *
 * The kernel's work for a container and nothing else: no checks, no state, no guards. IMAGE is the
 * folder that it stands on, ROOM an empty one for what it writes, GROUPS the folders, with `:`
 * between them, below which it gets a group each. All calls are written out, in their order.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 16, PATH = 4096 };

static const struct { const char *name; int minor; } devices[] = {
    { "null", 3 }, { "zero", 5 }, { "full", 7 }, { "random", 8 }, { "urandom", 9 },
};

static char groups[MOST][PATH];
static int doors[MOST], count;

static void must(int is_done, const char *what)
{
    if (is_done) return;
    fprintf(stderr, "error: %s: %s\n", what, strerror(errno));
    exit(125);
}

/* What the group above says in a file, `group` says, too. */
static void copy(const char *above, const char *group, const char *name)
{
    char path[2 * PATH], text[256];
    snprintf(path, sizeof path, "%s/%s", above, name);
    int from = open(path, O_RDONLY | O_CLOEXEC);
    must(from >= 0, path);
    ssize_t length = read(from, text, sizeof text);
    snprintf(path, sizeof path, "%s/%s", group, name);
    int to = open(path, O_WRONLY | O_CLOEXEC);
    must(write(to, text, length) == length, path);
    close(from);
    close(to);
}

/* Step 1: a group in each hierarchy, and a descriptor to go in by. */
static void make_groups(char *folders)
{
    for (char *above = strtok(folders, ":"); above && count < MOST; above = strtok(NULL, ":")) {
        char path[2 * PATH];
        snprintf(groups[count], PATH, "%s/floor-%d", above, getpid());
        must(mkdir(groups[count], 0755) == 0, groups[count]);
        /* A new cpuset of version 1 has no processors and no memory, and takes nobody. */
        if (strstr(above, "cpuset")) {
            copy(above, groups[count], "cpuset.cpus");
            copy(above, groups[count], "cpuset.mems");
        }
        snprintf(path, sizeof path, "%s/cgroup.procs", groups[count]);
        doors[count] = open(path, O_WRONLY | O_CLOEXEC);
        must(doors[count++] >= 0, path);
    }
}

/* Step 3, in the child: into the groups, and see them as the topmost ones. */
static void join_groups(void)
{
    for (int i = 0; i < count; i++) must(write(doors[i], "0", 1) == 1, groups[i]);
    must(unshare(CLONE_NEWCGROUP) == 0, "unshare");
}

/* Step 4: a root file system of the image and an empty layer, with /proc and /dev. */
static void make_root(const char *image)
{
    char options[3 * PATH];
    must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "private");
    snprintf(options, sizeof options, "lowerdir=%s,upperdir=upper,workdir=work", image);
    must(mount("overlay", "root", "overlay", 0, options) == 0, "overlay");
    must(chdir("root") == 0, "root");
    must(mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0, "proc");
    must(mount("tmpfs", "dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755") == 0, "dev");
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
        char path[32];
        snprintf(path, sizeof path, "dev/%s", devices[i].name);
        must(mknod(path, S_IFCHR | 0666, makedev(1, devices[i].minor)) == 0, path);
    }
}

/* Step 5: it becomes /, and the old one goes. */
static void change_root(void)
{
    must(syscall(SYS_pivot_root, ".", ".") == 0, "pivot_root");
    must(umount2(".", MNT_DETACH) == 0, "umount2");
    must(chdir("/") == 0, "/");
}

/* Step 7: what outlives the child. Its mounts have gone with its namespace. */
static void clean_up(const char *room)
{
    for (int i = 0; i < count; i++) must(rmdir(groups[i]) == 0, groups[i]);
    must(rmdir("work/work") == 0 && rmdir("work") == 0, "work");
    must(rmdir("upper") == 0 && rmdir("root") == 0, "upper");
    must(chdir("/") == 0 && rmdir(room) == 0, room);
}

int main(int argc, char **argv)
{
    if (argc < 5) return fputs("error: floor IMAGE ROOM GROUPS COMMAND [ARG...]\n", stderr), 125;
    char room[PATH];
    snprintf(room, sizeof room, "%s/%d", argv[2], getpid());
    make_groups(argv[3]);
    must(mkdir(room, 0700) == 0 && chdir(room) == 0, room);
    must(mkdir("upper", 0755) == 0 && mkdir("work", 0755) == 0 && mkdir("root", 0755) == 0, room);

    /* Step 2: a child in namespaces of its own. That of cgroups comes after the groups. */
    struct clone_args how = {
        .flags = CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET,
        .exit_signal = SIGCHLD,
    };
    pid_t pid = syscall(SYS_clone3, &how, sizeof how);
    must(pid >= 0, "clone3");
    if (pid == 0) {
        join_groups();
        make_root(argv[1]);
        change_root();
        must(sethostname("floor", 5) == 0, "sethostname");
        /* Step 6: what was asked for. */
        execv(argv[4], argv + 4);
        must(0, argv[4]);
    }
    int status;
    must(waitpid(pid, &status, 0) == pid, "waitpid");
    clean_up(room);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

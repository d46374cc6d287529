// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory errors that the kernel consumes on behalf of a process: what its
 * system call returns, who is told, who dies, and what becomes of the page.
 *
 * The pages of a test are a pair: the first is good, the second is poisoned.
 */
#include <fcntl.h>
#include <linux/elf.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <linux/kernel-page-flags.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <time.h>

#include "fixture.h"

#define HUGE_SIZE	(2UL << 20)

/* A pair of pages, of which the second is poisoned, or NULL and an exit */
static char *poisoned_pair(struct child *c)
{
	char *p = map_pair(MAP_PRIVATE);

	if (!p)
		_exit(1);
	child_poison(c, p + page_size);
	return p;
}

/*
 * The call returned @_ret or EFAULT, the child was told of the error and went
 * on, the page is gone. It took @_times aborts.
 */
#define EXPECT_CONSUMED_TIMES(_child, _ret, _times) do { \
	const struct child *_victim = (_child); \
	EXPECT_EXITED(_victim); \
	EXPECT_RET(_victim, _ret, EFAULT); \
	EXPECT_TOLD(_victim, _victim->va, 12); \
	EXPECT_TRUE(is_isolated_already(_victim->pa)); \
	EXPECT_ISOLATED(_victim->pa, 1); \
	EXPECT_ABORTS_OF_PAGE(_times); \
} while (0)

#define EXPECT_CONSUMED(_child, _ret)	EXPECT_CONSUMED_TIMES(_child, _ret, 1)

static int tmp_file(void)
{
	return memfd_create("copy_mc", 0);
}

/* The first @len bytes of @fd are those of map_pair(MAP_PRIVATE) from @off on. */
static bool file_has(int fd, size_t off, size_t len)
{
	char *p = mmap(NULL, off + len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p != MAP_FAILED && pread(fd, p + off, len, 0) == (ssize_t)len &&
		(fill_pages(p, off), same_pages(p, off + len));
}

/* @ret of a write to @fd, with its errno; -2 if those are not the bytes from @from on */
static long written(int fd, size_t from, long ret)
{
	int err = errno;

	if (ret > 0 && !file_has(fd, from, ret))
		return -2;
	errno = err;
	return ret;
}

/* User mode, where nothing is new */

static long load(struct child *c)
{
	char *p = poisoned_pair(c);

	return child_load(p + page_size) < 0;
}

TEST_F(poison, user_load)
{
	struct child *c = run_child(load, NULL);

	EXPECT_EXITED(c);
	EXPECT_RET(c, 1, 0);
	EXPECT_SIGBUS(c, BUS_MCEERR_AR, c->va, 12);
	EXPECT_ISOLATED(c->pa, 1);
	EXPECT_ABORTS(1);
}

static long load_and_die(struct child *c)
{
	char *p = poisoned_pair(c);

	signal(SIGBUS, SIG_DFL);
	return __atomic_load_n(p + page_size, __ATOMIC_RELAXED);
}

TEST_F(poison, user_load_default)
{
	struct child *c = run_child(load_and_die, NULL);

	EXPECT_KILLED(c, SIGBUS);
	EXPECT_ISOLATED(c->pa, 1);
	EXPECT_ABORTS(1);
}

/* Loads and stores in one: they are loads first. */

static int exclusive(void *addr)
{
	unsigned long old, new;
	unsigned int failed;

	asm volatile("1:	ldxr	%0, %3\n"
		     "	add	%1, %0, #1\n"
		     "	stxr	%w2, %1, %3\n"
		     "	cbnz	%w2, 1b"
		     : "=&r"(old), "=&r"(new), "=&r"(failed),
		       "+Q"(*(unsigned long *)addr));
	return 0;
}

#define LSE(insn, addr) do { \
	unsigned long _operand = 1, _old = 0; \
	asm volatile(".arch_extension lse\n" insn \
		     : "+r"(_old), "+Q"(*(unsigned long *)(addr)) \
		     : "r"(_operand)); \
} while (0)

static int fetch_add(void *addr)
{
	LSE("ldadd	%2, %0, %1", addr);
	return 0;
}

static int add(void *addr)
{
	LSE("stadd	%2, %1", addr);
	return 0;
}

static int swap(void *addr)
{
	LSE("swp	%2, %0, %1", addr);
	return 0;
}

static int compare(void *addr)
{
	LSE("cas	%0, %2, %1", addr);
	return 0;
}

static long try(struct child *c)
{
	char *p = poisoned_pair(c);

	return child_try(c->arg, p + page_size);
}

static void do_try(struct __test_metadata *_metadata,
		   struct _test_data_poison *self, int (*fn)(void *addr), int n)
{
	struct child *c = run_child(try, fn);

	EXPECT_MET(c, n);
	EXPECT_ABORTS(n);
}

TEST_F(poison, user_exclusive)
{
	do_try(_metadata, self, exclusive, 1);
}

TEST_F(poison, user_atomic)
{
	if (!has_lse())
		SKIP(return, "needs LSE");

	do_try(_metadata, self, fetch_add, 1);
	do_try(_metadata, self, add, 2);
	do_try(_metadata, self, swap, 3);
	do_try(_metadata, self, compare, 4);
}

/*
 * Code. The page of a file is dropped, and the fetch is made again from what is on
 * the disk: nobody is told. Of memory there is nothing else.
 */

#define CODE_RETURNS	42

static const unsigned int code[] = {
	0x52800000 | CODE_RETURNS << 5,		/* mov w0, #CODE_RETURNS */
	0xd65f03c0,				/* ret */
};

static int call(void *addr)
{
	return ((int (*)(void))addr)();
}

/* The second page of what @fd has, or of memory if it is -1 */
static long call_twice(struct child *c)
{
	int fd = *(int *)c->arg;
	char *p = mmap(NULL, 2 * page_size, PROT_READ | PROT_WRITE | PROT_EXEC,
		       MAP_PRIVATE | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);

	need(p != MAP_FAILED, "memory");
	if (fd < 0) {
		memcpy(p + page_size, code, sizeof(code));
		__builtin___clear_cache(p + page_size,
					p + page_size + sizeof(code));
	}
	need(child_try(call, p + page_size) == CODE_RETURNS, "code");
	child_poison(c, p + page_size);
	return child_try(call, p + page_size);
}

static void do_text(struct __test_metadata *_metadata,
		    struct _test_data_poison *self, int fd, bool clean)
{
	struct child *c;

	if (fd >= 0)
		ASSERT_EQ((ssize_t)sizeof(code),
			  pwrite(fd, code, sizeof(code), page_size));
	if (clean)
		ASSERT_EQ(0, fsync(fd));
	c = run_child(call_twice, &fd);

	EXPECT_EXITED(c);
	if (clean) {
		EXPECT_EQ(CODE_RETURNS, c->ret);
		EXPECT_NO_SIGBUS(c);
	} else {
		EXPECT_EQ(-1, c->ret);
		EXPECT_SIGBUS(c, BUS_MCEERR_AR, c->va, 12);
		EXPECT_EQ(c->va, c->pc);
	}
	EXPECT_ISOLATED(c->pa, 1);
	EXPECT_ABORTS(1);
}

TEST_F(poison, text_file)
{
	int fd = open_disk_file();

	if (fd == -ENOENT)
		SKIP(return, "no /ext2.img");
	ASSERT_GE(fd, 0);
	do_text(_metadata, self, fd, true);
}

TEST_F(poison, text_tmpfs)
{
	int fd = tmp_file();

	ASSERT_GE(fd, 0);
	do_text(_metadata, self, fd, false);
}

TEST_F(poison, text_anon)
{
	do_text(_metadata, self, -1, false);
}

/* write(2) from a poisoned buffer */

static long write_pipe(struct child *c)
{
	char *p = poisoned_pair(c);
	int fd[2];
	long ret;

	if (pipe(fd))
		return -2;
	ret = write(fd[1], p, 2 * page_size);
	/* What is in the pipe is what write(2) returned. */
	close(fd[1]);
	p = malloc(2 * page_size);
	if (read(fd[0], p, 2 * page_size) != ret || !same_pages(p, ret))
		return -2;
	return ret;
}

TEST_F(poison, write_pipe)
{
	struct child *c = run_child(write_pipe, NULL);

	EXPECT_CONSUMED(c, (long)page_size);
}

static long write_tmp(struct child *c)
{
	size_t off = (size_t)c->arg;
	char *p = poisoned_pair(c);
	int fd = tmp_file();
	long ret = write(fd, p + off, 2 * page_size - off);

	return written(fd, off, ret);
}

TEST_F(poison, write_tmpfs)
{
	struct child *c = run_child(write_tmp, NULL);

	EXPECT_CONSUMED(c, (long)page_size);
}

/* The file's page is half good, half poisoned: no good byte is lost. */
TEST_F(poison, write_tmpfs_unaligned)
{
	struct child *c = run_child(write_tmp, (void *)1001);

	EXPECT_CONSUMED(c, (long)page_size - 1001);
}

TEST_F(poison, write_nothing)
{
	struct child *c = run_child(write_tmp, (void *)page_size);

	EXPECT_CONSUMED(c, -1);
}

/* The same to a file system that has a disk, which does not take half a page anew */
static long write_disk(struct child *c)
{
	char *p = poisoned_pair(c);
	int fd = open("/mnt/new", O_RDWR | O_CREAT | O_EXCL, 0600);
	long ret = write(fd, p + 1001, 2 * page_size - 1001);

	return written(fd, 1001, ret);
}

TEST_F(poison, write_disk)
{
	int fd = open_disk_file();
	struct child *c;

	if (fd == -ENOENT)
		SKIP(return, "no /ext2.img");
	ASSERT_GE(fd, 0);
	close(fd);
	c = run_child(write_disk, NULL);

	EXPECT_CONSUMED(c, (long)page_size - 1001);
}

/*
 * To the disk itself, by iomap's loop, which does not take half a block either. The rest
 * of the block is what it was; who goes on there is told that the page is gone.
 */
static long write_blkdev(struct child *c)
{
	int fd = open_blkdev('x', 2 * page_size), i;
	char *p = poisoned_pair(c);
	long ret = write(fd, p + 1001, 2 * page_size - 1001);

	ret = written(fd, 1001, ret);
	need(ret < 0 || has_only(fd, ret, 2 * page_size - ret, 'x'), "rest");
	/* It is marked before it is unmapped. */
	for (i = 0; i < 1000 && phys_addr(c->va); i++)
		usleep(10000);
	need(write(fd, c->va, page_size) == -1 && errno == EFAULT, "EFAULT");
	return ret;
}

TEST_F(poison, write_blkdev)
{
	struct child *c;

	if (access(BLKDEV, F_OK))
		SKIP(return, "needs BLK_DEV_RAM");
	c = run_child(write_blkdev, NULL);

	EXPECT_CONSUMED(c, (long)page_size - 1001);
}

/* In three pieces, of which the second ends in the poison and the third is good */
static long write_pieces(struct child *c)
{
	char *p = poisoned_pair(c), *more = map_pair(MAP_PRIVATE);
	struct iovec iov[] = {
		{ p, 100 },
		{ p + 100, page_size },
		{ more, page_size },
	};
	int fd = tmp_file();
	long ret = writev(fd, iov, 3);

	return written(fd, 0, ret);
}

TEST_F(poison, write_pieces)
{
	struct child *c = run_child(write_pieces, NULL);

	EXPECT_CONSUMED(c, (long)page_size);
}

/*
 * Where there was poison there is another page now, which nobody has touched: what
 * was met there once is no reason to refuse it. The first call asks nobody whether
 * it met poison.
 */
static long write_again(struct child *c)
{
	char *p = poisoned_pair(c);
	int fd = tmp_file();

	need(nanosleep((struct timespec *)(p + page_size), NULL) && errno == EFAULT,
	     "EFAULT");
	need(is_isolated(c->pa), "isolated");
	need(mmap(p + page_size, page_size, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED,
	     "memory");
	return write(fd, p, 2 * page_size);
}

TEST_F(poison, write_again)
{
	struct child *c = run_child(write_again, NULL);

	EXPECT_CONSUMED(c, 2 * (long)page_size);
}

/* A store passes, and leaves the page as it is. */
static long store_and_write(struct child *c)
{
	char *p = poisoned_pair(c);
	int fd = tmp_file();

	need(!child_store(p + page_size, page_byte(page_size)) && !c->sigbus,
	     "store");
	memset(p + page_size + 64, 0, 64);
	need(!c->sigbus && !page_flag(c->pa, KPF_HWPOISON), "stores");
	return write(fd, p + page_size, page_size);
}

TEST_F(poison, write_stored)
{
	struct child *c = run_child(store_and_write, NULL);

	EXPECT_CONSUMED(c, -1);
}

static long write_and_die(struct child *c)
{
	signal(SIGBUS, SIG_DFL);
	return write_tmp(c);
}

TEST_F(poison, write_default)
{
	struct child *c = run_child(write_and_die, NULL);

	EXPECT_KILLED(c, SIGBUS);
	EXPECT_ISOLATED(c->pa, 1);
	EXPECT_ABORTS(1);
}

/* The page is locked in memory, which keeps nobody from taking it away. */
static long write_mlocked(struct child *c)
{
	char *p = map_pair(MAP_PRIVATE);
	int fd = tmp_file();

	if (mlock(p, 2 * page_size))
		return -2;
	child_poison(c, p + page_size);
	return write(fd, p, 2 * page_size);
}

TEST_F(poison, write_mlocked)
{
	struct child *c = run_child(write_mlocked, NULL);

	EXPECT_CONSUMED(c, (long)page_size);
}

/* The first page of a huge one; it goes as a whole, but counts as one page. */
static long write_hugetlb(struct child *c)
{
	char *p = mmap(NULL, 2 * HUGE_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int fd = tmp_file();

	p = (char *)(((uintptr_t)p + HUGE_SIZE) & ~(HUGE_SIZE - 1));
	if (mmap(p, HUGE_SIZE, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE |
		 MAP_ANONYMOUS | MAP_HUGETLB, -1, 0) == MAP_FAILED)
		return -2;
	fill_pages(p, HUGE_SIZE);
	p[-1] = 0;
	child_poison(c, p);

	return write(fd, p - page_size, 2 * page_size);
}

TEST_F(poison, write_hugetlb)
{
	struct child *c;

	if (huge_pool(1))
		SKIP(return, "needs HUGETLB");
	c = run_child(write_hugetlb, NULL);

	EXPECT_EXITED(c);
	EXPECT_RET(c, (long)page_size, 0);
	EXPECT_TOLD(c, c->va, 21);
	EXPECT_ISOLATED(c->pa, 1);
	EXPECT_ABORTS(1);
	EXPECT_EQ(0, huge_pool(0));
}

/*
 * read(2) of the page cache. The page is not mapped, so the process that reads
 * it is told that there was an error, but no address.
 */

static long read_pair(struct child *c)
{
	int fd = *(int *)c->arg;
	char *p = malloc(2 * page_size);
	long ret = pread(fd, p, 2 * page_size, 0);

	return ret > 0 && !same_pages(p, ret) ? -2 : ret;
}

/* Two pages of a file in the page cache, the second poisoned; its address */
static uint64_t poison_file(int fd)
{
	uint64_t pa;
	char byte;

	if (pread(fd, &byte, 1, 0) != 1)
		return 0;
	pa = cache_page(fd, page_size);
	return pa && !poison_phys(pa) ? pa : 0;
}

TEST_F(poison, read_clean)
{
	int fd = open_disk_file();
	struct child *c;
	uint64_t pa;

	if (fd == -ENOENT)
		SKIP(return, "no /ext2.img");
	ASSERT_GE(fd, 0);
	pa = poison_file(fd);
	ASSERT_NE(0U, pa);
	c = run_child(read_pair, &fd);

	EXPECT_EXITED(c);
	EXPECT_RET(c, (long)page_size, 0);
	EXPECT_SIGBUS(c, BUS_OBJERR, NULL, -1);
	EXPECT_ISOLATED(pa, 1);
	EXPECT_ABORTS(1);

	/* It was dropped: the next reader gets it from the disk. */
	c = run_child(read_pair, &fd);
	EXPECT_EXITED(c);
	EXPECT_RET(c, 2 * (long)page_size, 0);
	EXPECT_NO_SIGBUS(c);
	EXPECT_ISOLATED(pa, 1);
	EXPECT_ABORTS(1);
}

/* What was written and is lost must not go unnoticed. */
TEST_F(poison, read_dirty)
{
	int fd = open_disk_file();
	char buf[4096];
	struct child *c;
	uint64_t pa;

	if (fd == -ENOENT)
		SKIP(return, "no /ext2.img");
	ASSERT_GE(fd, 0);
	ASSERT_NE(0U, cache_page(fd, page_size));
	memset(buf, 'x', sizeof(buf));
	ASSERT_EQ((ssize_t)sizeof(buf), pwrite(fd, buf, sizeof(buf), page_size));
	pa = poison_file(fd);
	ASSERT_NE(0U, pa);
	ASSERT_TRUE(page_flag(pa, KPF_DIRTY));
	c = run_child(read_pair, &fd);

	EXPECT_EXITED(c);
	EXPECT_RET(c, (long)page_size, 0);
	EXPECT_SIGBUS(c, BUS_OBJERR, NULL, -1);
	EXPECT_ISOLATED(pa, 1);
	EXPECT_ABORTS(1);

	EXPECT_EQ(-1, fsync(fd));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(0, fsync(fd));
}

/* A page of shared memory has no other copy: it stays, as an error. */
static void do_read_tmpfs(struct __test_metadata *_metadata,
			  struct _test_data_poison *self, bool told)
{
	int fd = tmp_file();
	struct child *c;
	uint64_t pa;
	char *p = malloc(2 * page_size);

	fill_pages(p, 2 * page_size);
	ASSERT_EQ(2 * (ssize_t)page_size, pwrite(fd, p, 2 * page_size, 0));
	pa = poison_file(fd);
	ASSERT_NE(0U, pa);
	c = run_child(read_pair, &fd);

	EXPECT_EXITED(c);
	EXPECT_RET(c, (long)page_size, 0);
	if (told)
		EXPECT_SIGBUS(c, BUS_OBJERR, NULL, -1);
	else
		EXPECT_NO_SIGBUS(c);
	EXPECT_ISOLATED(pa, 1);
	EXPECT_ABORTS(1);

	EXPECT_EQ(-1, pread(fd, p, page_size, page_size));
	EXPECT_EQ(EIO, errno);
}

TEST_F(poison, read_tmpfs)
{
	do_read_tmpfs(_metadata, self, true);
}

/*
 * sysctl kernel.sea_sigbus=0: the call fails and the page is isolated all the same,
 * but nobody is told more than memory_failure() tells. Nor is anybody where there is no
 * such file.
 */

TEST_F(poison, quiet_read_tmpfs)
{
	write_file(SEA_SIGBUS, "0");
	do_read_tmpfs(_metadata, self, false);
}

TEST_F(poison, quiet_write_tmpfs)
{
	struct child *c;

	write_file(SEA_SIGBUS, "0");
	c = run_child(write_tmp, NULL);

	EXPECT_EXITED(c);
	EXPECT_RET(c, (long)page_size, 0);
	if (c->sigbus || !worker_may_isolate())
		EXPECT_SIGBUS(c, BUS_MCEERR_AR, c->va, 12);
	EXPECT_ISOLATED(c->pa, 1);
	EXPECT_ABORTS(1);
}

/*
 * hugetlbfs: what is before the page is read, and what is behind it. The first
 * reader consumes it, the others are told that it is gone.
 */

#define DEAD		5

static long read_huge(struct child *c)
{
	int fd = *(int *)c->arg;
	char *p = malloc(HUGE_SIZE);
	long ret = pread(fd, p, HUGE_SIZE, 0);

	return ret > 0 && !same_pages(p, ret) ? -2 : ret;
}

TEST_F(poison, read_hugetlb)
{
	int fd = memfd_create("copy_mc", MFD_HUGETLB);
	struct child *c;
	uint64_t pa;
	char *p, *buf = malloc(page_size);

	if (fd < 0 || huge_pool(1))
		SKIP(return, "needs HUGETLB");
	p = mmap(NULL, HUGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	fill_pages(p, HUGE_SIZE);
	pa = phys_addr(p + DEAD * page_size);
	munmap(p, HUGE_SIZE);
	ASSERT_EQ(0, poison_phys(pa));

	c = run_child(read_huge, &fd);
	EXPECT_EXITED(c);
	EXPECT_RET(c, DEAD * (long)page_size, 0);
	EXPECT_SIGBUS(c, BUS_OBJERR, NULL, -1);
	EXPECT_ISOLATED(pa, 1);
	EXPECT_ABORTS(1);

	c = run_child(read_huge, &fd);
	EXPECT_EXITED(c);
	EXPECT_RET(c, DEAD * (long)page_size, 0);
	EXPECT_NO_SIGBUS(c);
	EXPECT_EQ(-1, pread(fd, buf, page_size, DEAD * page_size));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ((ssize_t)page_size,
		  pread(fd, buf, page_size, (DEAD + 1) * page_size));
	EXPECT_EQ(page_byte((DEAD + 1) * page_size), (unsigned char)*buf);

	/* The huge page is nobody's when the file is gone, and never free again. */
	close(fd);
	EXPECT_EQ(self->corrupted + 1, corrupted_pages());
	EXPECT_EQ(0, huge_pool(0));
}

/* Other system calls that load from a poisoned page of the caller */

static long futex_wait(struct child *c)
{
	char *p = poisoned_pair(c);

	return syscall(SYS_futex, p + page_size, FUTEX_WAIT, 0, NULL, NULL, 0);
}

/* With its arguments all right, the empty file would be an ENOEXEC. */
static long exec_arg(struct child *c)
{
	char *p = poisoned_pair(c);

	return syscall(SYS_execveat, tmp_file(), "",
		       (char *[]){ p + page_size, NULL }, NULL, AT_EMPTY_PATH);
}

static long open_path(struct child *c)
{
	char *p = poisoned_pair(c);

	return open(p + page_size, O_RDONLY);
}

static long sleep_for(struct child *c)
{
	char *p = poisoned_pair(c);

	return nanosleep((struct timespec *)(p + page_size), NULL);
}

static long futex_waitv(struct child *c)
{
	struct futex_waitv w = {
		.uaddr = (uintptr_t)poisoned_pair(c) + page_size,
		.flags = FUTEX_32,
	};

	return syscall(SYS_futex_waitv, &w, 1, 0, NULL, 0);
}

static char *fresh_page(void)
{
	return mmap(NULL, page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

TEST_F(poison, futex_wait)
{
	struct futex_waitv w = {
		.val = 1,
		.uaddr = (uintptr_t)fresh_page(),
		.flags = FUTEX_32 | FUTEX_PRIVATE_FLAG,
	};
	struct child *c = run_child(futex_wait, NULL);

	ASSERT_NE(MAP_FAILED, (void *)(uintptr_t)w.uaddr);
	EXPECT_CONSUMED(c, -1);

	c = run_child(futex_waitv, NULL);
	EXPECT_EXITED(c);
	EXPECT_RET(c, -1, EFAULT);
	EXPECT_TOLD(c, c->va, 12);
	EXPECT_ISOLATED(c->pa, 2);
	EXPECT_ABORTS(2);

	/* A page that is only not there yet is faulted in, and holds 0. */
	EXPECT_EQ(-1, syscall(SYS_futex, fresh_page(), FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(-1, syscall(SYS_futex_waitv, &w, 1, 0, NULL, 0));
	EXPECT_EQ(EAGAIN, errno);
}

/* By a load, and by one that is exclusive */

static long futex_wake_op(struct child *c)
{
	char *p = poisoned_pair(c);

	return syscall(SYS_futex, p, FUTEX_WAKE_OP, 1, 1, p + page_size,
		       FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_EQ, 0));
}

static long futex_lock_pi(struct child *c)
{
	char *p = poisoned_pair(c);

	return syscall(SYS_futex, p + page_size, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
}

static long futex_requeue(struct child *c)
{
	char *p = poisoned_pair(c);

	return syscall(SYS_futex, p + page_size, FUTEX_CMP_REQUEUE, 1, 1, p, 0);
}

TEST_F(poison, futex_wake_op)
{
	struct child *c = run_child(futex_wake_op, NULL);
	char *fresh = fresh_page();

	ASSERT_NE(MAP_FAILED, fresh);
	EXPECT_CONSUMED(c, -1);

	/* Here, too */
	EXPECT_EQ(0, syscall(SYS_futex, fresh_page(), FUTEX_WAKE_OP_PRIVATE, 1, 1, fresh,
			     FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_EQ, 0)));
	EXPECT_EQ(1, *fresh);
}

TEST_F(poison, futex_lock_pi)
{
	struct child *c = run_child(futex_lock_pi, NULL);

	EXPECT_CONSUMED(c, -1);
}

TEST_F(poison, futex_requeue)
{
	struct child *c = run_child(futex_requeue, NULL);

	EXPECT_CONSUMED(c, -1);
	EXPECT_EQ(-1, syscall(SYS_futex, fresh_page(), FUTEX_CMP_REQUEUE_PRIVATE, 1, 1,
			      fresh_page(), 1));
	EXPECT_EQ(EAGAIN, errno);
}

TEST_F(poison, execve_arg)
{
	struct child *c = run_child(exec_arg, NULL);

	EXPECT_CONSUMED(c, -1);
}

/*
 * Twice: a string may end before what strncpy_from_user() cannot load as a word, so it
 * goes on byte by byte.
 */
TEST_F(poison, open_path)
{
	struct child *c = run_child(open_path, NULL);

	EXPECT_CONSUMED_TIMES(c, -1, 2);
}

TEST_F(poison, nanosleep)
{
	struct child *c = run_child(sleep_for, NULL);

	EXPECT_CONSUMED(c, -1);
}

/*
 * The page goes into the pipe as it is, and is consumed by who reads the pipe.
 * The pipe's reference keeps it from being freed; it is isolated all the same.
 */
static long vmsplice_read(struct child *c)
{
	char *p = map_pair(MAP_PRIVATE), *buf = malloc(2 * page_size);
	struct iovec iov = { p, 2 * page_size };
	int fd[2];
	long ret;

	if (!p || pipe(fd))
		return -2;
	if (vmsplice(fd[1], &iov, 1, 0) != 2 * (ssize_t)page_size)
		return -3;
	child_poison(c, p + page_size);
	ret = read(fd[0], buf, 2 * page_size);
	return ret > 0 && !same_pages(buf, ret) ? -4 : ret;
}

TEST_F(poison, vmsplice_read)
{
	struct child *c = run_child(vmsplice_read, NULL);

	EXPECT_EXITED(c);
	EXPECT_RET(c, (long)page_size, 0);
	EXPECT_TOLD(c, NULL, 12);	/* not its access, but its page */
	EXPECT_ISOLATED(c->pa, 1);
	EXPECT_ABORTS(1);
}

/* From there to a file, which copies it. */
static long vmsplice_write(struct child *c)
{
	char *p = map_pair(MAP_PRIVATE);
	struct iovec iov = { p, 2 * page_size };
	int fd[2], out = tmp_file();
	struct stat st;
	long ret;

	need(p && out >= 0 && !pipe(fd), "pages");
	need(vmsplice(fd[1], &iov, 1, 0) == 2 * (ssize_t)page_size, "vmsplice");
	child_poison(c, p + page_size);
	ret = splice(fd[0], NULL, out, NULL, 2 * page_size, 0);
	need(!fstat(out, &st) && st.st_size == (ssize_t)page_size &&
	     file_has(out, 0, page_size), "data");
	return ret;
}

TEST_F(poison, vmsplice_write)
{
	struct child *c = run_child(vmsplice_write, NULL);

	EXPECT_EXITED(c);
	EXPECT_RET(c, (long)page_size, 0);
	EXPECT_TOLD(c, NULL, 12);
	EXPECT_ISOLATED(c->pa, 1);
	EXPECT_ABORTS(1);
}

/*
 * io_uring. A worker loads for the process, but is not the process: the request
 * fails, nobody gets a signal. A pipe is written to by the process itself if it
 * does not ask for a worker, a file of tmpfs by a worker.
 */

struct request {
	unsigned char opcode;	/* IORING_OP_WRITE*, or _READ, from a disk */
	unsigned char flags;
	bool file;		/* tmpfs, else a pipe */
	size_t from;		/* where in the pair it begins */
	long ret;
	bool told;
};

static long io_uring_request(struct child *c)
{
	const struct request *row = c->arg;
	struct io_uring_params params = {};
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	char *p = map_pair(MAP_PRIVATE), *ring;
	struct iovec iov = { p, 2 * page_size };
	int fd, out, pipe_fd[2];
	unsigned int tail;
	struct stat st;

	fd = syscall(SYS_io_uring_setup, 1, &params);
	if (!p || fd < 0 || !(params.features & IORING_FEAT_SINGLE_MMAP) ||
	    pipe(pipe_fd))
		return -2;
	/* One mapping for both rings; no size of theirs reaches a page. */
	ring = mmap(NULL, page_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    IORING_OFF_SQ_RING);
	sqe = mmap(NULL, page_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		   IORING_OFF_SQES);
	if (ring == MAP_FAILED || sqe == MAP_FAILED)
		return -3;
	cqe = (struct io_uring_cqe *)(ring + params.cq_off.cqes);
	need(row->opcode != IORING_OP_WRITE_FIXED ||
	     !syscall(SYS_io_uring_register, fd, IORING_REGISTER_BUFFERS, &iov,
		      1), "registered buffer");
	if (row->opcode == IORING_OP_READ) {
		/* Its page cache has both, each on its own, and they are not dirty. */
		out = open_blkdev(0, 2 * page_size);
		need(write(out, p, page_size) == (ssize_t)page_size &&
		     write(out, p + page_size, page_size) == (ssize_t)page_size &&
		     !fsync(out), "disk");
		memset(p, 0, 2 * page_size);
		c->pa = poison_file(out);
		need(c->pa, "poison");
	} else {
		out = row->file ? tmp_file() : pipe_fd[1];
		child_poison(c, p + page_size);
	}
	*sqe = (struct io_uring_sqe) {
		.opcode = row->opcode,
		.flags = row->flags,
		.fd = out,
		.addr = (uintptr_t)p + row->from,
		.len = 2 * page_size - row->from,
	};
	*(unsigned int *)(ring + params.sq_off.array) = 0;
	tail = *(unsigned int *)(ring + params.sq_off.tail) + 1;
	__atomic_store_n((unsigned int *)(ring + params.sq_off.tail), tail,
			 __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, fd, 1, 1, IORING_ENTER_GETEVENTS, NULL,
		    0) != 1)
		return -4;
	/* Whatever there is to come for the worker, let it come. */
	is_isolated(c->pa);
	usleep(100000);

	if (row->file)
		need(!fstat(out, &st) && st.st_size == row->ret &&
		     file_has(out, row->from, row->ret), "data");
	if (row->opcode == IORING_OP_READ)
		need(cqe->res < 0 || same_pages(p, cqe->res), "data");
	return cqe->res;
}

static void do_request(struct __test_metadata *_metadata,
		       struct _test_data_poison *self, const struct request *row)
{
	struct child *c = run_child(io_uring_request, (void *)row);

	EXPECT_EXITED(c);
	EXPECT_RET(c, row->ret, 0);
	if (row->told)
		EXPECT_TOLD(c, NULL, 12);
	else
		EXPECT_NO_SIGBUS(c);
	EXPECT_ISOLATED(c->pa, 1);
	EXPECT_ABORTS(1);
}

#define REQUEST(...) \
	do_request(_metadata, self, &(const struct request) { __VA_ARGS__ })

TEST_F(poison, io_uring_write)
{
	REQUEST(.opcode = IORING_OP_WRITE, .flags = IOSQE_ASYNC,
		.from = page_size, .ret = -EFAULT);
}

TEST_F(poison, io_uring_write_fixed)
{
	REQUEST(.opcode = IORING_OP_WRITE_FIXED, .file = true, .ret = page_size);
}

TEST_F(poison, io_uring_write_fixed_unaligned)
{
	REQUEST(.opcode = IORING_OP_WRITE_FIXED, .file = true, .from = 1001,
		.ret = page_size - 1001);
}

TEST_F(poison, io_uring_write_fixed_async)
{
	REQUEST(.opcode = IORING_OP_WRITE_FIXED, .flags = IOSQE_ASYNC,
		.file = true, .ret = page_size);
}

TEST_F(poison, io_uring_write_fixed_pipe)
{
	REQUEST(.opcode = IORING_OP_WRITE_FIXED, .ret = page_size, .told = true);
}

/*
 * Who has read less than it wants tries once more for the rest, at once if that need not
 * block, with an iterator that does not know of poison in the source. A worker may be
 * faster: then the rest is read from the disk.
 */
TEST_F(poison, io_uring_read)
{
	const struct request row = { .opcode = IORING_OP_READ };
	struct child *c;

	if (access(BLKDEV, F_OK))
		SKIP(return, "needs BLK_DEV_RAM");
	c = run_child(io_uring_request, (void *)&row);

	EXPECT_EXITED(c);
	if (c->ret != 2 * (long)page_size || !worker_may_isolate())
		EXPECT_RET(c, (long)page_size, 0);
	EXPECT_SIGBUS(c, BUS_OBJERR, NULL, -1);
	EXPECT_ISOLATED(c->pa, 1);
	EXPECT_ABORTS(c->ret == (long)page_size ? 2 : 1);
}

/*
 * Poison in another process: that one has not touched it, so it lives, and is
 * told when it does.
 */

/* Have a poisoned page, wait, return the signals until then, touch the page. */
static long hold(struct child *c)
{
	char *p = poisoned_pair(c);
	int before;

	child_step(c, 1);
	if (!child_await(c, 2))
		return -2;
	before = c->sigbus;
	child_load(p + page_size);
	return before;
}

#define EXPECT_UNHARMED(_child) do { \
	struct child *_other = (_child); \
	child_step(_other, 2); \
	child_wait(_other); \
	EXPECT_EXITED(_other); \
	EXPECT_RET(_other, 0, 0); \
	EXPECT_SIGBUS(_other, BUS_MCEERR_AR, _other->va, 12); \
} while (0)

/* Reads the two pages of another process, of which the second is poisoned, and may be told. */
static void do_remote(struct __test_metadata *_metadata,
		      struct _test_data_poison *self,
		      long (*fn)(struct child *c), long ret, int err, bool told)
{
	struct child *other = child_start(hold, NULL);
	struct child *c;

	ASSERT_TRUE(child_await(other, 1));
	c = run_child(fn, other);

	EXPECT_EXITED(c);
	EXPECT_RET(c, ret, err);
	if (told)
		EXPECT_SIGBUS(c, BUS_OBJERR, NULL, -1);
	else
		EXPECT_NO_SIGBUS(c);
	EXPECT_ISOLATED(other->pa, 1);
	EXPECT_ABORTS(1);
	EXPECT_UNHARMED(other);
	EXPECT_ISOLATED(other->pa, 1);
	EXPECT_ABORTS(1);
}

static long readv_remote(struct child *c)
{
	struct child *other = c->arg;
	char *buf = malloc(2 * page_size);
	struct iovec here = { buf, 2 * page_size };
	struct iovec there = { other->va - page_size, 2 * page_size };
	long ret = process_vm_readv(other->pid, &here, 1, &there, 1, 0);

	return ret > 0 && !same_pages(buf, ret) ? -2 : ret;
}

TEST_F(poison, process_vm_readv)
{
	do_remote(_metadata, self, readv_remote, page_size, 0, true);
}

/* A system call of init, which waits in one: 0 or -1, or less if there was none */
static long call_in_init(const struct user_regs_struct *was, long nr, const long args[6])
{
	struct user_regs_struct now = *was;
	struct iovec set = { &now, sizeof(now) };
	const uint32_t svc = 0xd4000001;
	long ret = -2;
	int status;

	/* What it waits in begins again, or is over. */
	if ((uint32_t)ptrace(PTRACE_PEEKTEXT, 1, now.pc, NULL) != svc) {
		now.pc -= sizeof(svc);
		if ((uint32_t)ptrace(PTRACE_PEEKTEXT, 1, now.pc, NULL) != svc)
			return -3;
	}
	memcpy(now.regs, args, 6 * sizeof(*args));
	now.regs[8] = nr;
	if (ptrace(PTRACE_SETREGSET, 1, NT_PRSTATUS, &set))
		return -4;
	do {	/* A child of init's may have ended, before it was attached or since. */
		if (ptrace(PTRACE_SINGLESTEP, 1, NULL, NULL) || waitpid(1, &status, __WALL) != 1)
			return -5;
	} while (WIFSTOPPED(status) &&
		 (WSTOPSIG(status) == SIGCHLD || WSTOPSIG(status) == SIGSTOP));
	if (WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP &&
	    !ptrace(PTRACE_GETREGSET, 1, NT_PRSTATUS, &set)) {
		errno = -(int)now.regs[0];
		ret = errno > 0 ? -1 : 0;
	}
	now = *was;
	return ptrace(PTRACE_SETREGSET, 1, NT_PRSTATUS, &set) ? -6 : ret;
}

/* Init's process_vm_readv() of the poisoned page */
static long readv_by_init(struct child *c)
{
	struct child *other = c->arg;
	struct user_regs_struct regs;
	struct iovec set = { &regs, sizeof(regs) };
	struct {
		struct iovec here, there;
		char buf[16];
	} *args;
	long call[6] = { other->pid, 0, 1, 0, 1, 0 };
	long ret = -7;
	int err;

	if (ptrace(PTRACE_ATTACH, 1, NULL, NULL) || waitpid(1, NULL, __WALL) != 1)
		return -8;
	if (ptrace(PTRACE_GETREGSET, 1, NT_PRSTATUS, &set))
		goto out;

	/* Below its stack pointer is nothing of its own. */
	args = (void *)(regs.sp - 512);
	if (ptrace(PTRACE_POKEDATA, 1, &args->here.iov_base, args->buf) ||
	    ptrace(PTRACE_POKEDATA, 1, &args->here.iov_len, sizeof(args->buf)) ||
	    ptrace(PTRACE_POKEDATA, 1, &args->there.iov_base, other->va) ||
	    ptrace(PTRACE_POKEDATA, 1, &args->there.iov_len, sizeof(args->buf)))
		goto out;
	call[1] = (long)&args->here;
	call[3] = (long)&args->there;
	ret = call_in_init(&regs, SYS_process_vm_readv, call);
out:
	err = errno;
	ptrace(PTRACE_DETACH, 1, NULL, NULL);
	errno = err;
	return ret;
}

/* Without init there is no machine: no signal is forced on it. */
TEST_F(poison, init_reads)
{
	if (!rig)
		SKIP(return, "needs RIG");
	do_remote(_metadata, self, readv_by_init, -1, EFAULT, false);
}

static long peek(struct child *c)
{
	struct child *other = c->arg;
	long word, ret;
	int err;

	if (ptrace(PTRACE_ATTACH, other->pid, NULL, NULL) ||
	    waitpid(other->pid, NULL, __WALL) != other->pid)
		return -2;
	ret = syscall(SYS_ptrace, PTRACE_PEEKDATA, other->pid, other->va, &word);
	err = errno;
	if (ptrace(PTRACE_DETACH, other->pid, NULL, NULL))
		return -3;
	errno = err;
	return ret;
}

TEST_F(poison, ptrace_peek)
{
	do_remote(_metadata, self, peek, -1, EIO, true);
}

/* The two pages, but for the first @skip bytes */
static long proc_mem_from(struct child *c, size_t skip)
{
	struct child *other = c->arg;
	char path[64], *buf = malloc(2 * page_size);
	long ret;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", other->pid);
	fd = open(path, O_RDONLY);
	fill_pages(buf, page_size);
	ret = pread(fd, buf + skip, 2 * page_size - skip,
		    (off_t)other->va - page_size + skip);
	return ret > 0 && !same_pages(buf, skip + ret) ? -2 : ret;
}

static long read_proc_mem(struct child *c)
{
	return proc_mem_from(c, 0);
}

TEST_F(poison, proc_mem)
{
	do_remote(_metadata, self, read_proc_mem, page_size, 0, true);
}

/* It goes by page_size bytes: the first come from both pages. */
static long read_proc_mem_unaligned(struct child *c)
{
	return proc_mem_from(c, 100);
}

TEST_F(poison, proc_mem_unaligned)
{
	do_remote(_metadata, self, read_proc_mem_unaligned, page_size - 100, 0, true);
}

/*
 * By its physical address: /dev/mem maps a page of a file that nobody else has mapped. That
 * is no mapping which memory_failure() would find: it isolates the page, and only when the
 * load has come to the same poison again, it looks for who had that mapped, and tells it.
 * read(2) of /dev/mem would not survive.
 */

static char *map_physical(uint64_t pa, int prot, int flags)
{
	int fd = open("/dev/mem", O_RDONLY);
	char *p = fd < 0 ? MAP_FAILED : mmap(NULL, page_size, prot, flags, fd, pa);
	int err = errno;

	close(fd);
	errno = err;
	return p;
}

static void poison_physical(struct child *c, int prot, int flags)
{
	uint64_t pa = *(uint64_t *)c->arg;

	c->va = map_physical(pa, prot, flags);
	need(c->va != MAP_FAILED && child_load(c->va) == page_byte(0), "page");
	/* No page of the child's own: nobody else tells its address. */
	c->pa = pa;
	need(!poison_phys(pa), "poison");
}

static void do_physical(struct __test_metadata *_metadata,
			struct _test_data_poison *self, long (*use)(struct child *c),
			int from, int to)
{
	char *buf = malloc(page_size), *p;
	int fd = tmp_file();
	struct child *c;
	uint64_t pa;

	fill_pages(buf, page_size);
	ASSERT_EQ((ssize_t)page_size, write(fd, buf, page_size));
	pa = cache_page(fd, 0);
	ASSERT_NE(0U, pa);
	p = map_physical(pa, PROT_READ, MAP_SHARED);
	if (p == MAP_FAILED && errno == ENOENT)
		SKIP(return, "needs DEVMEM");
	if (p == MAP_FAILED && errno == EPERM)
		SKIP(return, "needs a kernel without STRICT_DEVMEM");
	ASSERT_NE(MAP_FAILED, p);
	munmap(p, page_size);

	c = run_child(use, &pa);
	EXPECT_MET(c, 1);
	EXPECT_ABORTS_FROM_TO(from, to);
	EXPECT_EQ(-1, pread(fd, buf, page_size, 0));
	EXPECT_EQ(EIO, errno);
}

static long load_physical(struct child *c)
{
	poison_physical(c, PROT_READ, MAP_SHARED);
	return child_load(c->va);
}

TEST_F(poison, dev_mem)
{
	do_physical(_metadata, self, load_physical, 2, ABORTS_BEFORE_WORKER);
}

/* Copy-on-write of what has no struct page: the kernel loads it by the user address. */
static long store_physical(struct child *c)
{
	poison_physical(c, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	return child_store(c->va, 1);
}

TEST_F(poison, dev_mem_cow)
{
	do_physical(_metadata, self, store_physical, 1, 1);
}

/* A mapping that is shared, and a bystander that has the page in its tables */

static long stand_by(struct child *c)
{
	int before;

	c->va = (char *)c->arg + page_size;
	if (child_load(c->va) != page_byte(page_size))
		return -2;
	child_step(c, 1);
	if (!child_await(c, 2))
		return -2;
	before = c->sigbus;
	child_load(c->va);
	return before;
}

static long write_shared(struct child *c)
{
	char *p = c->arg;
	int fd = tmp_file();
	long ret;

	child_load(p + page_size);	/* fork() does not map what is shared */
	child_poison(c, p + page_size);
	ret = write(fd, p, 2 * page_size);
	return ret > 0 && !file_has(fd, 0, ret) ? -2 : ret;
}

TEST_F(poison, shared_bystander)
{
	char *p = map_pair(MAP_SHARED);
	struct child *bystander, *c;

	ASSERT_NE(NULL, p);
	bystander = child_start(stand_by, p);
	ASSERT_TRUE(child_await(bystander, 1));
	c = run_child(write_shared, p);

	EXPECT_CONSUMED(c, (long)page_size);
	EXPECT_UNHARMED(bystander);
	EXPECT_ISOLATED(c->pa, 1);
	EXPECT_ABORTS(1);
}

TEST_HARNESS_MAIN

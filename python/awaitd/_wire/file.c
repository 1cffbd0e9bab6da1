#define _GNU_SOURCE
#include "file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef O_PATH
#define O_PATH 0
#endif

static int bad_file(PyObject *file, const char *what)
{
    PyErr_Format(PyExc_TypeError, "file of %s must be an open file with a descriptor, or the descriptor, not %.100s", what,
                 file ? Py_TYPE(file)->tp_name : "missing");
    return -1;
}

/* True if the exception says that the object has no descriptor (io.UnsupportedOperation is both of the latter). */
static bool lacks_descriptor(void)
{
    return PyErr_ExceptionMatches(PyExc_TypeError) ||
           (PyErr_ExceptionMatches(PyExc_OSError) && PyErr_ExceptionMatches(PyExc_ValueError));
}

static int descriptor_of(PyObject *file, const char *what)
{
    if (!file)
        return bad_file(file, what);
    int fd = PyObject_AsFileDescriptor(file);
    if (fd >= 0 || !lacks_descriptor())
        return fd;
    PyErr_Clear();
    return bad_file(file, what);
}

static const char *kind_of(mode_t mode)
{
    return S_ISFIFO(mode)   ? "a pipe"
           : S_ISSOCK(mode) ? "a socket"
           : S_ISDIR(mode)  ? "a directory"
           : S_ISCHR(mode)  ? "a character device"
           : S_ISBLK(mode)  ? "a block device"
                            : "something else";
}

static int check(int fd, struct stat *st, const char *what)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fstat(fd, st) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    if (!S_ISREG(st->st_mode))
        PyErr_Format(PyExc_ValueError, "file of %s must be a regular file, not %s", what, kind_of(st->st_mode));
    else if ((flags & O_ACCMODE) == O_WRONLY || flags & O_PATH)
        PyErr_Format(PyExc_ValueError, "file of %s must be open for reading", what);
    else
        return 0;
    return -1;
}

static bool is_absent(PyObject *number)
{
    return !number || number == Py_None;
}

/* A number of bytes; -1 with an exception. */
static long long number_of(PyObject *number, const char *name, const char *what)
{
    if (!PyLong_Check(number)) {
        PyErr_Format(PyExc_TypeError, "%s of %s must be an int, not %.100s", name, what, Py_TYPE(number)->tp_name);
        return -1;
    }
    int overflow;
    long long value = PyLong_AsLongLongAndOverflow(number, &overflow);
    if (overflow || value < 0) {
        PyErr_Format(PyExc_ValueError, "%s of %s must be from 0 to 2**63 - 1, got %R", name, what, number);
        return -1;
    }
    return value;
}

int file_part_of(struct file_part *part, PyObject *file, PyObject *offset, PyObject *count, const char *what)
{
    struct stat st;
    long long from = is_absent(offset) ? 0 : number_of(offset, "offset", what);
    long long most = from < 0 ? -1 : is_absent(count) ? INT64_MAX : number_of(count, "count", what);
    int fd = most < 0 ? -1 : descriptor_of(file, what);
    if (fd < 0 || check(fd, &st, what) < 0)
        return -1;
    if (is_absent(offset) && (from = lseek(fd, 0, SEEK_CUR)) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    if (from > st.st_size)
        from = st.st_size;
    if (most > st.st_size - from)
        most = st.st_size - from;
    *part = (struct file_part){fd, (uint64_t)from, (uint64_t)most};
    return 0;
}

static int open_encoded(const char *path)
{
    int fd;
    Py_BEGIN_ALLOW_THREADS fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO without a writer would be waited for */
    Py_END_ALLOW_THREADS return fd;
}

int file_open(struct file_part *part, PyObject *path, const char *what)
{
    struct stat st;
    PyObject *encoded = NULL;
    if (!path || !PyUnicode_FSConverter(path, &encoded)) {
        if (!path || PyErr_ExceptionMatches(PyExc_TypeError))
            PyErr_Format(PyExc_TypeError, "path of %s must be a str, not %.100s", what,
                         path ? Py_TYPE(path)->tp_name : "missing");
        return -1;
    }
    int fd = -1;
    if ((fd = open_encoded(PyBytes_AS_STRING(encoded))) < 0 || fstat(fd, &st) < 0)
        PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, path);
    else if (!S_ISREG(st.st_mode))
        PyErr_Format(PyExc_ValueError, "path of %s must name a regular file, but %R is %s", what, path, kind_of(st.st_mode));
    else
        *part = (struct file_part){fd, 0, (uint64_t)st.st_size};
    Py_DECREF(encoded);
    if (fd >= 0 && PyErr_Occurred()) {
        close(fd);
        fd = -1;
    }
    return fd < 0 ? -1 : 0;
}

void file_part_read(const struct file_part *part)
{
    if (part->count)
        (void)!lseek(part->fd, (off_t)(part->offset + part->count), SEEK_SET);
}
